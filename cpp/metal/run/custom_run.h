#pragma once

#include <span>
#include <vector>

#include "engine/backend/custom_kernel.h"
#include "metal/device/buffer_copies.h"
#include "metal/device/custom_kernel.h"
#include "metal/device/device.h"
#include "metal/run/slots.h"

namespace mpscnn::metal {

/// Copies of the caller's arrays in memory that the GPU accesses, for one command buffer. All uses of an
/// array share one copy.
class StagedArrays {
public:
    /// True if an array of the run overlaps an array here with other bounds, and the run or an earlier one
    /// writes it. One copy cannot serve both then.
    bool overlap_otherwise(const engine::CustomRun &run) const;
    /// Return the copy of an array; it is made at the first use.
    id<MTLBuffer> add(const Device &device, std::span<std::byte> bytes, bool written);
    /// Copy written arrays back.
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

// Functions that a run of a custom kernel consists of, for any command buffer.

/// True if the run may share a command buffer with others. The GPU then accesses the run's images and its
/// arrays in PageMemory directly. Arrays in other memory have copies that all runs of the command buffer use.
bool can_reach(const Device &device, const engine::CustomRun &run);

/// Put the run's images into the slot; written ones become its outputs. Return the buffers of the arrays.
std::vector<BufferPlace> prepare(Slot &slot, const Device &device, const engine::CustomRun &run,
                                 PageBuffers &buffers, StagedArrays &arrays);

/// Encode the run. Images are converted to textures for the kernel, and written ones are copied back.
void encode(id<MTLCommandBuffer> command_buffer, Device &device, const engine::CustomRun &run,
            const Slot &slot, const std::vector<BufferPlace> &arrays);

} // namespace mpscnn::metal
