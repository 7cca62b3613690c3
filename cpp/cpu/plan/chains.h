#pragma once

// Which convolutions of a network run as one chain (cpu/kernels/tasks/convolution.h), and how it is cut.

#include <optional>
#include <span>
#include <vector>

#include "cpu/plan/cost_model.h"
#include "cpu/plan/lowering.h"

namespace mpscnn::cpu {

/// Operations of a network that one ChainTask computes, or a convolution and the pooling of its result.
struct Chain {
    std::vector<std::size_t> operations; ///< indices, in order
    ChainCut cut;
};

struct ChainOptions {
    int threads = 1;
    bool enabled = true; ///< false: every operation alone, so that all results can be looked at

    friend bool operator==(const ChainOptions &, const ChainOptions &) = default;
};

/// The machine as the kernels of a network's precision see it.
MachineModel machine_model(const LoweredNetwork &network, int threads);

/// A candidate for computing some operations, and how long the cost model expects it to take.
struct ChainCandidate {
    std::vector<std::size_t> operations;
    bool together = false; ///< as one chain
    ChainCut cut;
    double microseconds = 0;
};

/// One step of convolutions that was chosen, with the other candidates.
struct ChainChoice {
    ChainCandidate candidate;
    std::vector<ChainCandidate> others; ///< for the same operations, or for more of them
};

/// The chains that the cost model expects to take less time than their operations alone. `shapes` are those
/// of all values. The environment variable MPSCNN_FUSION overrides the model: "none", "auto", or
/// "rows=4,channels=64,stages=3" for chains of at most this many stages wherever there can be any, in bands
/// and panels of this size (0: all rows or channels). Throws ParameterError for anything else.
std::vector<Chain> find_chains(const LoweredNetwork &network, const std::vector<Shape> &shapes,
                               const ChainOptions &options);

/// What the cost model thinks of steps that were chosen, each the operations of a chain or a single one; of
/// those that could not be part of a chain nothing.
std::vector<std::optional<ChainChoice>> compare_choices(const LoweredNetwork &network,
                                                        const std::vector<Shape> &shapes,
                                                        const ChainOptions &options,
                                                        std::span<const Chain> chosen);

} // namespace mpscnn::cpu
