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

} // namespace mpscnn::metal
