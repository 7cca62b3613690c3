#pragma once

#include <span>

#include "metal/encoding/metal_plan.h"
#include "metal/encoding/request.h"
#include "metal/encoding/slots.h"

namespace mpscnn::metal {

// What one run of a network is, in whichever command buffer.

/// The plan as this backend made it. Throws StateError for one of another backend.
const MetalPlan &own_plan(const engine::Plan &plan);

/// Throws ShapeError unless the arrays have the plan's shapes.
void require_shapes(const MetalPlan &plan, std::span<const engine::TensorView> inputs,
                    std::span<const engine::TensorView> outputs);

/// Whether the GPU works on all of these arrays where they lie.
bool are_shared(const MetalPlan &plan, std::span<const engine::TensorView> inputs,
                std::span<const engine::TensorView> outputs);

/// Makes memory for the arrays; inputs are read where they must be copied.
void prepare(Slot &slot, const MetalPlan &plan, std::span<const engine::TensorView> inputs,
             std::span<const engine::TensorView> outputs, PageBuffers &buffers);

void encode(id<MTLCommandBuffer> command_buffer, const MetalPlan &plan, const Slot &slot);

/// Runs once with every input, step and output in a command buffer of its own, waits for each and gives the
/// GPU's times. `duration` is left to the caller.
engine::RunTimes run_steps_apart(const std::shared_ptr<Device> &device, Handlers &handlers,
                                 const MetalPlan &plan, const Slot &slot);

/// One pass. `give` makes the image of an input there, from wherever it lies, and `take` takes that of an
/// output: both are called with the number of the port, the port and its name. All that is encoded is by
/// `around(number, name, encode)`, with numbers as those of MetalPlan::describe_steps().
template <class Give, class Take, class Around>
void encode_pass(Encoding &encoding, const MetalPlan &plan, Give give, Take take, Around around) {
    const engine::Graph &graph = plan.network().graph;
    std::size_t number = 0;
    for (std::size_t i = 0; i < plan.inputs().size(); ++i, ++number) {
        const Port &port = plan.inputs()[i];
        const std::string &name = graph.inputs()[i].name;
        if (plan.values()[static_cast<std::size_t>(port.value)].readers > 0)
            around(number, name, [&] { give(i, port, name); });
    }
    for (std::size_t i = 0; i < plan.steps().size(); ++i, ++number)
        around(number, plan.network().layers[i].name, [&] { plan.steps()[i]->encode(encoding); });
    for (std::size_t i = 0; i < plan.outputs().size(); ++i, ++number) {
        const std::string &name = graph.value_name(graph.outputs()[i]);
        around(number, name, [&] { take(i, plan.outputs()[i], name); });
    }
}
template <class Give, class Take>
void encode_pass(Encoding &encoding, const MetalPlan &plan, Give give, Take take) {
    encode_pass(encoding, plan, give, take, [](std::size_t, const std::string &, auto encode) { encode(); });
}

} // namespace mpscnn::metal
