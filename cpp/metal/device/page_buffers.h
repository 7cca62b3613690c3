#pragma once

#include <map>
#include <memory>

#include "core/page_memory.h"
#include "metal/device/device.h"

namespace mpscnn::metal {

/// Buffers over pages, without a copy. Metal keeps uses of a buffer in order, not uses of memory: whatever
/// one command buffer does with the same pages must go through the same buffer.
class PageBuffers {
public:
    /// Nothing when the device cannot have a buffer so large. It keeps the pages, whatever becomes of arrays.
    objc_ptr<id<MTLBuffer>> over(const Device &device, const std::shared_ptr<PageMemory> &pages);
    void clear() { buffers_.clear(); }

private:
    std::map<const PageMemory *, objc_ptr<id<MTLBuffer>>> buffers_;
};

} // namespace mpscnn::metal
