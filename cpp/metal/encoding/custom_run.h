#pragma once

#include <vector>

#include "metal/device/custom_kernel.h"
#include "metal/encoding/slots.h"
#include "metal/encoding/staged_arrays.h"

namespace mpscnn::metal {

// What one run of a custom kernel is, in whichever command buffer.

/// Whether the GPU works on all images, and on all arrays in pages of their own, where they lie.
bool can_reach(const Device &device, const engine::CustomRun &run);

/// Memory of an array.
struct BufferPlace {
    id<MTLBuffer> buffer = nil;
    std::size_t offset = 0;
};

/// Images go to the slot: written ones are its outputs. Returns where the arrays are.
std::vector<BufferPlace> prepare(Slot &slot, const Device &device, const engine::CustomRun &run,
                                 PageBuffers &buffers, StagedArrays &arrays);

/// Images become textures for the kernel, and those that it writes are copied back.
void encode(id<MTLCommandBuffer> command_buffer, Device &device, const engine::CustomRun &run,
            const Slot &slot, const std::vector<BufferPlace> &arrays);

} // namespace mpscnn::metal
