#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <vector>

#include "metal/device/page_buffers.h"
#include "metal/device/staging.h"
#include "metal/encoding/array_step.h"

namespace mpscnn::metal {

/// Where the GPU reads or writes one input or output: the caller's own pages where it can (PageMemory), else
/// staging memory and a copy.
class PortMemory {
public:
    /// The GPU will read what is at `view` now, images of this layout.
    void read(const Device &device, const engine::TensorView &view, const ImageLayout &layout,
              PageBuffers &buffers);
    /// The GPU will write what `finish` leaves at `view`.
    void write(const Device &device, const engine::TensorView &view, const ImageLayout &layout,
               PageBuffers &buffers);
    /// The same, of floats without gaps, whatever the array's elements.
    void read_floats(const Device &device, const engine::TensorView &view, PageBuffers &buffers);
    void write_floats(const Device &device, const engine::TensorView &view, PageBuffers &buffers);
    void finish() const;

    /// Of floats without gaps.
    ArrayView floats() const;
    /// From this image of the array on.
    ArrayView array(std::int64_t first_image) const;

    /// Whether the GPU works on the array where it lies.
    static bool is_shared(const Device &device, const engine::TensorView &view, const ImageLayout &layout);
    static bool are_floats_shared(const Device &device, const engine::TensorView &view);

private:
    bool share(const Device &device, const engine::TensorView &view, const std::optional<Pitches> &pitches,
               PageBuffers &buffers);
    void stage(const Device &device, const engine::TensorView &view, const Pitches &pitches,
               bool as_floats = false);

    Staging staging_;
    const PageMemory *pages_ = nullptr; ///< which `pages_buffer_` keeps
    objc_ptr<id<MTLBuffer>> pages_buffer_;
    engine::TensorView view_;
    Pitches pitches_;
    bool shared_ = false, as_floats_ = false;
    std::size_t offset_ = 0;
};

/// Memory of the GPU alone for what lies between inputs and outputs.
class ArenaMemory {
public:
    /// At least this much; what it held is lost.
    void reserve(const Device &device, std::size_t bytes) {
        if (bytes <= bytes_) return;
        buffer_.reset(); // first, so that both need not fit at once
        bytes_ = 0;
        buffer_ = device.make_private_buffer(bytes);
        bytes_ = bytes;
    }
    id<MTLBuffer> buffer() const { return buffer_.get(); }

private:
    objc_ptr<id<MTLBuffer>> buffer_;
    std::size_t bytes_ = 0;
};

/// Memory of one request under way.
struct Slot {
    std::vector<PortMemory> inputs, outputs;
    ArenaMemory arena;
};

/// A session's slots: as many requests may be under way.
class Slots {
public:
    explicit Slots(int count);

    /// One that is free; blocks until there is one. Letting go of it frees it; all must be free before this
    /// is destroyed.
    std::shared_ptr<Slot> take();
    /// Releases their memory.
    void clear() { slots_.clear(); }

private:
    void free(Slot *slot);

    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<std::unique_ptr<Slot>> slots_;
    std::vector<Slot *> free_; ///< the one used last behind: its memory is warm
};

} // namespace mpscnn::metal
