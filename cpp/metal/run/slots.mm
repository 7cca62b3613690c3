#include "metal/run/slots.h"

#include <chrono>
#include <cstdint>

#include "core/failure.h"
#include "core/interruption.h"

namespace mpscnn::metal {

using engine::TensorView;

namespace {

std::size_t bytes_of(const TensorView &view, DType type) {
    return static_cast<std::size_t>(view.shape.elements()) * size_of(type);
}

std::size_t offset_in(const PageMemory &pages, const TensorView &view) {
    return static_cast<std::size_t>(static_cast<const std::byte *>(view.data) - pages.data());
}

/// Return the pages that contain all of an array, if the GPU can access the array there.
std::shared_ptr<PageMemory> shareable_pages(const TensorView &view, const std::optional<Pitches> &pitches) {
    if (!pitches) return nullptr;
    auto pages = PageMemory::containing(view.data, span_of(view));
    // Metal requires that offsets are multiples of 4.
    return pages && offset_in(*pages, view) % 4 == 0 ? pages : nullptr;
}

/// True if rows whose length is a multiple of four begin at a multiple of the size of four elements. Shaders
/// access such rows by four elements.
bool is_aligned(const TensorView &view) {
    const std::int64_t row = view.shape.rank() > 1 ? view.shape.with_batch(1).elements() : view.shape[0];
    return row % 4 != 0 || reinterpret_cast<std::uintptr_t>(view.data) % (4 * sizeof(float)) == 0;
}

/// Return the pitches for an array that is used as floats without gaps.
std::optional<Pitches> pitches_of_floats(const TensorView &view) {
    const bool usable = view.type == DType::float32 && view.is_dense() && is_aligned(view);
    return usable ? std::optional(Pitches{}) : std::nullopt;
}

bool fits(const Device &device, const std::shared_ptr<PageMemory> &pages) {
    return pages && pages->bytes() <= [device.get() maxBufferLength];
}

} // namespace

void PortMemory::read(const Device &device, const TensorView &view, const ImageLayout &layout,
                      PageBuffers &buffers) {
    if (share(device, view, pitches_of(view, layout), buffers)) return;
    stage(device, view, Pitches::dense(layout));
    staging_.copy_from(view);
}

void PortMemory::write(const Device &device, const TensorView &view, const ImageLayout &layout,
                       PageBuffers &buffers) {
    if (!share(device, view, pitches_of(view, layout), buffers)) stage(device, view, Pitches::dense(layout));
}

void PortMemory::read_floats(const Device &device, const TensorView &view, PageBuffers &buffers) {
    if (share(device, view, pitches_of_floats(view), buffers)) return;
    stage(device, view, {}, true);
    staging_.floats_from(view);
}

void PortMemory::write_floats(const Device &device, const TensorView &view, PageBuffers &buffers) {
    if (!share(device, view, pitches_of_floats(view), buffers)) stage(device, view, {}, true);
}

void PortMemory::finish() const {
    if (shared_) return;
    as_floats_ ? staging_.floats_to(view_) : staging_.copy_to(view_);
}

ArrayView PortMemory::floats() const {
    return {shared_ ? pages_buffer_.get() : staging_.buffer(), DType::float32, {}, offset_};
}

ArrayView PortMemory::array(std::int64_t first_image) const {
    const auto element = static_cast<std::int64_t>(size_of(view_.type));
    return {shared_ ? pages_buffer_.get() : staging_.buffer(), view_.type, pitches_,
            offset_ + static_cast<std::size_t>(first_image * pitches_.image * element)};
}

bool PortMemory::is_shared(const Device &device, const TensorView &view, const ImageLayout &layout) {
    return fits(device, shareable_pages(view, pitches_of(view, layout)));
}

bool PortMemory::are_floats_shared(const Device &device, const TensorView &view) {
    return fits(device, shareable_pages(view, pitches_of_floats(view)));
}

bool PortMemory::share(const Device &device, const TensorView &view, const std::optional<Pitches> &pitches,
                       PageBuffers &buffers) {
    shared_ = false;
    const auto pages = shareable_pages(view, pitches);
    if (!pages) return false;
    if (pages.get() != pages_) {
        pages_ = nullptr;
        pages_buffer_ = buffers.over(device, pages);
        if (!pages_buffer_) return false;
        pages_ = pages.get();
    }
    view_ = view;
    pitches_ = *pitches;
    offset_ = offset_in(*pages, view);
    return shared_ = true;
}

void PortMemory::stage(const Device &device, const TensorView &view, const Pitches &pitches, bool as_floats) {
    pages_ = nullptr;
    pages_buffer_.reset();
    staging_.reserve(device, bytes_of(view, as_floats ? DType::float32 : view.type));
    view_ = view;
    pitches_ = pitches;
    as_floats_ = as_floats;
    offset_ = 0;
}

Slots::Slots(int count) {
    for (int i = 0; i < count; ++i) slots_.push_back(std::make_unique<Slot>());
    for (const auto &slot : slots_) free_.push_back(slot.get());
}

std::shared_ptr<Slot> Slots::take() {
    constexpr std::chrono::milliseconds tick(100);
    std::unique_lock lock(mutex_);
    while (!changed_.wait_for(lock, tick, [&] { return !free_.empty(); })) {
        lock.unlock(); // Python's main thread may free a slot before it answers
        if (is_interrupted()) fail(ErrorKind::device, "the wait for the GPU was interrupted");
        lock.lock();
    }
    Slot *slot = free_.back();
    free_.pop_back();
    return {slot, [this](Slot *used) { free(used); }};
}

void Slots::free(Slot *slot) {
    const std::lock_guard lock(mutex_);
    free_.push_back(slot);
    changed_.notify_one();
}

} // namespace mpscnn::metal
