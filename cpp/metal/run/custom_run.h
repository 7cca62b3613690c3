#pragma once

#include <span>
#include <vector>

#include "engine/commands/custom_kernel.h"
#include "metal/device/custom_kernel.h"
#include "metal/device/device.h"
#include "metal/run/slots.h"

namespace mpscnn::metal {

/// Copies of arrays in memory that the GPU sees, for one command buffer: every use of an array is of one
/// copy.
class StagedArrays {
public:
    /// Whether an array of the run shares memory with one here that has other bounds, and either is written.
    bool overlap_otherwise(const engine::CustomRun &run) const;
    /// The copy, made at the first use.
    id<MTLBuffer> add(const Device &device, std::span<std::byte> bytes, bool written);
    /// Copies back what was written.
    void finish() const;
    void clear() { arrays_.clear(); }

private:
    struct Array {
        std::span<std::byte> bytes;
        objc_ptr<id<MTLBuffer>> buffer;
        bool written = false;
    };
    std::vector<Array> arrays_;
};

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
