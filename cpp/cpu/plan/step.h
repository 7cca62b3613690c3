#pragma once

#include <array>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "cpu/plan/placement.h"

namespace mpscnn::cpu {

/// One kernel call of a plan. The views of `task` have no addresses, because addresses are only known during
/// a run.
struct Step {
    std::vector<std::string> layers; ///< names of the nodes that it computes; empty for the copy of an output
    /// Indices of the operations in the network that the step computes, in order; empty for the copy of an
    /// output, and in bfloat16 networks for a conversion.
    std::vector<std::size_t> operations;
    Task task;
    Region source, destination;
    /// The tensors other than source and destination. A convolution has the residual or the start of its
    /// sums, and then the gate, or packed weights that are tensors of the graph. Arithmetic has the second
    /// operand. A concatenation has the sources after the first.
    std::vector<Region> others;
    std::vector<ConvolutionTask> stages; ///< stages of a ChainTask; `others` has their residuals, in order
    /// The bytes of the operation's weights. If an operation has several steps, only the last one has this
    /// number, and the others have 0.
    std::size_t weight_bytes = 0;

    /// The kernel's prepared data, by PortUse::index().
    std::array<Prepared, 4> prepared{};
    bool touches_ports = false; ///< true if the step reads an input or writes an output of the graph
};

/// Where a run has the graph's inputs and outputs that a step uses: in place (in the caller's memory, without
/// gaps) or in the arena. Plans prepare kernels for these cases. For all others `is_foreseen` is false, and
/// the kernel is prepared during the run.
struct PortUse {
    bool inputs_in_place = false, outputs_in_place = false, is_foreseen = true;

    std::size_t index() const { return 2 * static_cast<std::size_t>(inputs_in_place) + outputs_in_place; }
};
PortUse port_use(const Step &step, std::span<const Storage> storages, std::span<const Binding> bindings);

/// Prepare a step's kernel for these addresses and strides and for a number of threads. Throws like
/// PlanMemory::require_enough().
Prepared prepare_step(const Step &step, const KernelTable &kernels, std::span<const Storage> storages,
                      std::span<const Binding> bindings, const Planning &planning);
/// Prepare the kernels of all steps, for inputs and outputs in place and in the arena (see PortUse). Throws
/// like prepare_step().
void prepare_steps(std::span<Step> steps, const KernelTable &kernels, std::span<const Storage> storages,
                   const Planning &planning);

/// Return the steps of a plan in the order in which they run. Reshapes have no steps. Adds workspaces to
/// `placement`: temporary memory in the arena for data between the steps of one operation.
std::vector<Step> make_steps(const LoweredNetwork &network, Placement &placement,
                             const std::vector<Shape> &shapes, std::span<const Chain> chains);

} // namespace mpscnn::cpu
