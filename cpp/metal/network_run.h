#pragma once

#include <span>

#include "metal/metal_plan.h"
#include "metal/slots.h"

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

/// One pass. `give` makes the image of an input there, from wherever it lies, and `take` takes that of an
/// output: both are called with the number of the port, the port and its name.
template <class Give, class Take>
void encode_pass(Encoding &encoding, const MetalPlan &plan, Give give, Take take) {
    const engine::Graph &graph = plan.network().graph;
    for (std::size_t i = 0; i < plan.inputs().size(); ++i) {
        const Port &port = plan.inputs()[i];
        if (plan.values()[static_cast<std::size_t>(port.value)].readers > 0)
            give(i, port, graph.inputs()[i].name);
    }
    for (const auto &step : plan.steps()) step->encode(encoding);
    for (std::size_t i = 0; i < plan.outputs().size(); ++i)
        take(i, plan.outputs()[i], graph.value_name(graph.outputs()[i]));
}

} // namespace mpscnn::metal
