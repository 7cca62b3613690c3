#include "metal/device/page_buffers.h"

namespace mpscnn::metal {

namespace {

objc_ptr<id<MTLBuffer>> make_buffer(const Device &device, const std::shared_ptr<PageMemory> &pages) {
    const std::shared_ptr<PageMemory> kept = pages;
    if (pages->bytes() > [device.get() maxBufferLength]) return {};
    return adopt([device.get() newBufferWithBytesNoCopy:pages->data()
                                                 length:pages->bytes()
                                                options:MTLResourceStorageModeShared
                                            deallocator:^(void *, NSUInteger) {
                                              // `kept` is captured so that its destructor runs with the
                                              // block's.
                                              (void)kept;
                                            }]);
}

} // namespace

objc_ptr<id<MTLBuffer>> PageBuffers::over(const Device &device, const std::shared_ptr<PageMemory> &pages) {
    const auto found = buffers_.find(pages.get());
    if (found != buffers_.end()) return found->second;
    auto buffer = make_buffer(device, pages);
    if (buffer) buffers_.emplace(pages.get(), buffer);
    return buffer;
}

} // namespace mpscnn::metal
