#pragma once

#include <span>
#include <vector>

#include "engine/commands/custom_kernel.h"
#include "metal/device/device.h"

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

} // namespace mpscnn::metal
