#pragma once

#include <string>
#include <variant>
#include <vector>

#include "cpu/placement.h"

namespace mpscnn::cpu {

/// One kernel call of a plan. The tensors of `task` are unbound: memory is known at each run only.
struct Step {
    std::vector<std::string> layers; ///< names of the nodes that it computes; empty for a copy
    /// What it computes of the network, in order; empty for a copy or a conversion.
    std::vector<std::size_t> operations;
    Task task;
    Region source, destination;
    /// Residual of a convolution or what its sums start with, second operand of arithmetic, a concatenation's
    /// sources behind the first.
    std::vector<Region> others;
    std::vector<ConvolutionTask> stages; ///< of a ChainTask; `others` has their residuals, in order
    std::size_t weight_bytes = 0;        ///< of an operation's weights, at its last step
};

/// The steps of a plan in the order in which they run. Reshapes take none. Adds the memory that steps of one
/// operation hand on to each other.
std::vector<Step> make_steps(const LoweredNetwork &network, Placement &placement,
                             const std::vector<Shape> &shapes, std::span<const Chain> chains);

} // namespace mpscnn::cpu
