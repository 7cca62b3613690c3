#include "metal/port_memory.h"

namespace mpscnn::metal {

using engine::TensorView;

namespace {

std::size_t bytes_of(const TensorView &view) {
    return static_cast<std::size_t>(view.shape.elements()) * size_of(view.type);
}

/// Nothing when the device cannot have a buffer so large. The buffer keeps the pages, whatever becomes of
/// arrays.
objc_ptr<id<MTLBuffer>> buffer_over(const Device &device, std::shared_ptr<PageMemory> pages) {
    if (pages->bytes() > [device.get() maxBufferLength]) return {};
    return adopt([device.get() newBufferWithBytesNoCopy:pages->data()
                                                 length:pages->bytes()
                                                options:MTLResourceStorageModeShared
                                            deallocator:^(void *, NSUInteger) {
                                              (void)pages; // captured for its destructor
                                            }]);
}

} // namespace

void PortMemory::read(const Device &device, const TensorView &view) {
    if (share(device, view)) return;
    stage(device, view);
    staging_.copy_from(view);
}

void PortMemory::write(const Device &device, const TensorView &view) {
    if (!share(device, view)) stage(device, view);
}

void PortMemory::finish() const {
    if (!shared_) staging_.copy_to(view_);
}

bool PortMemory::share(const Device &device, const TensorView &view) {
    shared_ = false;
    if (!view.is_dense()) return false;
    const auto pages = PageMemory::containing(view.data, bytes_of(view));
    if (!pages) return false;
    if (pages.get() != pages_) {
        pages_ = nullptr;
        pages_buffer_ = buffer_over(device, pages);
        if (!pages_buffer_) return false;
        pages_ = pages.get();
    }
    offset_ = static_cast<std::size_t>(static_cast<const std::byte *>(view.data) - pages->data());
    return shared_ = true;
}

void PortMemory::stage(const Device &device, const TensorView &view) {
    pages_ = nullptr;
    pages_buffer_.reset();
    staging_.reserve(device, bytes_of(view));
    view_ = view;
    offset_ = 0;
}

} // namespace mpscnn::metal
