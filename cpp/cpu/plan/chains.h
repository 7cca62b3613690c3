#pragma once

// Chooses the convolutions of a network that run as one chain (cpu/kernels/tasks/convolution.h), and the
// sizes of their bands and panels.

#include <optional>
#include <span>
#include <vector>

#include "cpu/plan/cost_model.h"
#include "cpu/plan/lowering.h"

namespace mpscnn::cpu {

/// The operations that one ChainTask computes, or a convolution and the pooling of its result.
struct Chain {
    std::vector<std::size_t> operations; ///< indices, in order
    ChainCut cut;
};

struct ChainOptions {
    int threads = 1;
    bool enabled = true; ///< false: each operation runs alone, so that all results can be inspected

    friend bool operator==(const ChainOptions &, const ChainOptions &) = default;
};

/// Return the machine for kernels of the network's precision.
MachineModel machine_model(const LoweredNetwork &network, int threads);

/// A way to compute some operations, and the time that the cost model predicts for it.
struct ChainCandidate {
    std::vector<std::size_t> operations;
    bool together = false; ///< true: as one chain
    ChainCut cut;
    double microseconds = 0;
};

/// A step of convolutions that was chosen, and the other candidates.
struct ChainChoice {
    ChainCandidate candidate;
    std::vector<ChainCandidate> others; ///< for the same operations, or for these and more
};

/// Return the chains that the cost model predicts to be faster than their operations alone. `shapes` has the
/// shape of each value. The environment variable MPSCNN_FUSION overrides the model. Its values are "none",
/// "auto", or, for example, "rows=4,channels=64,stages=3". The last forces chains of at most this many stages
/// wherever possible, with bands and panels of this size (0: all rows or channels). Throws ParameterError for
/// anything else.
std::vector<Chain> find_chains(const LoweredNetwork &network, const std::vector<Shape> &shapes,
                               const ChainOptions &options);

/// Return the cost model's predictions for steps that were chosen: a chain, or one operation. Empty for
/// operations that cannot be part of a chain.
std::vector<std::optional<ChainChoice>> compare_choices(const LoweredNetwork &network,
                                                        const std::vector<Shape> &shapes,
                                                        const ChainOptions &options,
                                                        std::span<const Chain> chosen);

} // namespace mpscnn::cpu
