#pragma once

// Chooses the convolutions of a network that run as one chain: one kernel computes a band of rows at a time
// through all of them, so that the tensors between them stay in the caches (cpu/kernels/tasks/convolution.h).
// It also chooses the sizes of bands and panels (sets of output channels).

#include <optional>
#include <span>
#include <vector>

#include "cpu/plan/cost_model.h"
#include "cpu/plan/lowering.h"

namespace mpscnn::cpu {

/// The operations that one kernel computes: a chain of convolutions, or a convolution and the pooling of its
/// result.
struct Chain {
    std::vector<std::size_t> operations; ///< indices, in order
    ChainCut cut;
};

struct ChainOptions {
    int threads = 1;
    bool enabled = true; ///< if false, each operation runs alone, so that all results can be inspected

    friend bool operator==(const ChainOptions &, const ChainOptions &) = default;
};

/// Return the cost model's machine for kernels of the network's precision.
MachineModel machine_model(const LoweredNetwork &network, int threads);

/// A way to compute some operations, and the time that the cost model predicts for it.
struct ChainCandidate {
    std::vector<std::size_t> operations;
    bool together = false; ///< true if they run as one chain
    ChainCut cut;
    double microseconds = 0;
};

/// The chosen way to compute some convolutions, and the other candidates.
struct ChainChoice {
    ChainCandidate candidate;
    std::vector<ChainCandidate> others; ///< for the same operations, or for these and their neighbours
};

/// Return the chains that the cost model predicts to be faster than separate steps. `shapes` has the shape of
/// each value. The environment variable MPSCNN_FUSION overrides the model. Its values are "none", "auto", or,
/// for example, "rows=4,channels=64,stages=3". That example makes chains of at most 3 stages wherever
/// possible, with bands of 4 rows and panels of 64 channels (0 means all rows or channels). Throws
/// ParameterError for any other value.
std::vector<Chain> find_chains(const LoweredNetwork &network, const std::vector<Shape> &shapes,
                               const ChainOptions &options);

/// Return the cost model's predictions for chosen steps, each a chain or one operation. An entry is empty for
/// operations that cannot be part of a chain.
std::vector<std::optional<ChainChoice>> compare_choices(const LoweredNetwork &network,
                                                        const std::vector<Shape> &shapes,
                                                        const ChainOptions &options,
                                                        std::span<const Chain> chosen);

} // namespace mpscnn::cpu
