#pragma once

#include <map>
#include <memory>

#include "core/page_memory.h"
#include "metal/device/device.h"

namespace mpscnn::metal {

/// Buffers that use existing pages without a copy. Metal orders uses of the same buffer, but not uses of the
/// same memory through two buffers. So within one command buffer, all uses of the same pages must go through
/// the same buffer.
class PageBuffers {
public:
    /// Return a buffer over the pages, or null if it would be too large for the device or Metal makes none.
    /// It keeps the pages alive, even if all arrays in them are gone.
    objc_ptr<id<MTLBuffer>> over(const Device &device, const std::shared_ptr<PageMemory> &pages);
    void clear() { buffers_.clear(); }

private:
    std::map<const PageMemory *, objc_ptr<id<MTLBuffer>>> buffers_;
};

} // namespace mpscnn::metal
