#include "metal/encoding/port_memory.h"

namespace mpscnn::metal {

using engine::TensorView;

namespace {

std::size_t bytes_of(const TensorView &view) {
    return static_cast<std::size_t>(view.shape.elements()) * size_of(view.type);
}

std::size_t offset_in(const PageMemory &pages, const TensorView &view) {
    return static_cast<std::size_t>(static_cast<const std::byte *>(view.data) - pages.data());
}

/// The pages that hold all of an array, if the GPU can work on it there.
std::shared_ptr<PageMemory> shareable_pages(const TensorView &view, const ImageLayout &layout) {
    if (!pitches_of(view, layout)) return nullptr;
    auto pages = PageMemory::containing(view.data, span_of(view));
    return pages && offset_in(*pages, view) % 4 == 0 ? pages : nullptr; // what Metal asks of an offset
}

} // namespace

void PortMemory::read(const Device &device, const TensorView &view, const ImageLayout &layout,
                      PageBuffers &buffers) {
    if (share(device, view, layout, buffers)) return;
    stage(device, view, layout);
    staging_.copy_from(view);
}

void PortMemory::write(const Device &device, const TensorView &view, const ImageLayout &layout,
                       PageBuffers &buffers) {
    if (!share(device, view, layout, buffers)) stage(device, view, layout);
}

void PortMemory::finish() const {
    if (!shared_) staging_.copy_to(view_);
}

ArrayView PortMemory::array(std::int64_t first_image) const {
    const auto element = static_cast<std::int64_t>(size_of(view_.type));
    return {shared_ ? pages_buffer_.get() : staging_.buffer(), view_.type, pitches_,
            offset_ + static_cast<std::size_t>(first_image * pitches_.image * element)};
}

bool PortMemory::is_shared(const Device &device, const TensorView &view, const ImageLayout &layout) {
    const auto pages = shareable_pages(view, layout);
    return pages && pages->bytes() <= [device.get() maxBufferLength];
}

bool PortMemory::share(const Device &device, const TensorView &view, const ImageLayout &layout,
                       PageBuffers &buffers) {
    shared_ = false;
    const auto pages = shareable_pages(view, layout);
    if (!pages) return false;
    if (pages.get() != pages_) {
        pages_ = nullptr;
        pages_buffer_ = buffers.over(device, pages);
        if (!pages_buffer_) return false;
        pages_ = pages.get();
    }
    view_ = view;
    pitches_ = *pitches_of(view, layout);
    offset_ = offset_in(*pages, view);
    return shared_ = true;
}

void PortMemory::stage(const Device &device, const TensorView &view, const ImageLayout &layout) {
    pages_ = nullptr;
    pages_buffer_.reset();
    staging_.reserve(device, bytes_of(view));
    view_ = view;
    pitches_ = Pitches::dense(layout);
    offset_ = 0;
}

} // namespace mpscnn::metal
