#pragma once

#include <array>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "cpu/plan/placement.h"

namespace mpscnn::cpu {

/// One kernel call of a plan. The tensors of `task` have no addresses, since these are known in each run
/// only.
struct Step {
    std::vector<std::string> layers; ///< names of the nodes that it computes; empty for a copy
    /// Indices of the operations that it computes, in order; empty for a copy or a conversion.
    std::vector<std::size_t> operations;
    Task task;
    Region source, destination;
    /// The tensors other than source and destination. For a convolution: the residual or the start of its
    /// sums, then the gate. For arithmetic: the second operand. For a concatenation: the sources after the
    /// first.
    std::vector<Region> others;
    std::vector<ConvolutionTask> stages; ///< of a ChainTask; `others` holds their residuals, in order
    std::size_t weight_bytes = 0;        ///< of an operation's weights; counted in its last step

    /// The kernel's prepared data, by PortUse::index().
    std::array<Prepared, 4> prepared{};
    bool touches_ports = false; ///< reads an input or writes an output
};

/// How a run binds the caller's tensors that a step uses: to the arena, or to the caller's memory without
/// gaps. Other strides are prepared during the run.
struct PortUse {
    bool inputs_in_place = false, outputs_in_place = false, is_foreseen = true;

    std::size_t index() const { return 2 * static_cast<std::size_t>(inputs_in_place) + outputs_in_place; }
};
PortUse port_use(const Step &step, std::span<const Storage> storages, std::span<const Binding> bindings);

/// Prepare a step for a number of threads. Throws std::bad_alloc.
Prepared prepare_step(const Step &step, const KernelTable &kernels, std::span<const Storage> storages,
                      std::span<const Binding> bindings, const Planning &planning);
/// Fill in the prepared data of steps.
void prepare_steps(std::span<Step> steps, const KernelTable &kernels, std::span<const Storage> storages,
                   const Planning &planning);

/// Return the steps of a plan in the order in which they run. Reshapes have no steps. Adds workspaces for
/// data between the steps of one operation.
std::vector<Step> make_steps(const LoweredNetwork &network, Placement &placement,
                             const std::vector<Shape> &shapes, std::span<const Chain> chains);

} // namespace mpscnn::cpu
