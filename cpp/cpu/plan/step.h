#pragma once

#include <array>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "cpu/plan/placement.h"

namespace mpscnn::cpu {

/// One kernel call of a plan. The tensors of `task` are unbound: memory is known at each run only.
struct Step {
    std::vector<std::string> layers; ///< names of the nodes that it computes; empty for a copy
    /// What it computes of the network, in order; empty for a copy or a conversion.
    std::vector<std::size_t> operations;
    Task task;
    Region source, destination;
    /// Residual of a convolution or what its sums start with, and after it what its source is multiplied by,
    /// second operand of arithmetic, a concatenation's sources after the first.
    std::vector<Region> others;
    std::vector<ConvolutionTask> stages; ///< of a ChainTask; `others` has their residuals, in order
    std::size_t weight_bytes = 0;        ///< of an operation's weights, at its last step

    /// What its kernel has prepared, by PortUse::index().
    std::array<Prepared, 4> prepared{};
    bool touches_ports = false; ///< reads an input or writes an output
};

/// How a run binds what a step touches of the caller's: to the arena, or to the caller's memory without gaps.
/// Anything else is not foreseen.
struct PortUse {
    bool inputs_in_place = false, outputs_in_place = false, is_foreseen = true;

    std::size_t index() const { return 2 * static_cast<std::size_t>(inputs_in_place) + outputs_in_place; }
};
PortUse port_use(const Step &step, std::span<const Storage> storages, std::span<const Binding> bindings);

/// Prepares a step for a number of threads. Throws std::bad_alloc.
Prepared prepare_step(const Step &step, const KernelTable &kernels, std::span<const Storage> storages,
                      std::span<const Binding> bindings, const Planning &planning);
/// Fills in what steps have prepared.
void prepare_steps(std::span<Step> steps, const KernelTable &kernels, std::span<const Storage> storages,
                   const Planning &planning);

/// The steps of a plan in the order in which they run. Reshapes take none. Adds the memory that steps of one
/// operation hand on to each other.
std::vector<Step> make_steps(const LoweredNetwork &network, Placement &placement,
                             const std::vector<Shape> &shapes, std::span<const Chain> chains);

} // namespace mpscnn::cpu
