#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <vector>

#include "metal/device/page_buffers.h"
#include "metal/device/staging.h"
#include "metal/encoding/array_step.h"

namespace mpscnn::metal {

class Encoding; // from encoding.h

/// The memory in which the GPU reads or writes one input or output. If possible it is the caller's pages
/// (PageMemory). Otherwise it is staging memory, and the array is copied to or from it.
class PortMemory {
public:
    /// Prepare the memory for the GPU to read the array at `view`, as images with this layout.
    void read(const Device &device, const engine::TensorView &view, const ImageLayout &layout,
              PageBuffers &buffers);
    /// Prepare the memory for the GPU to write; `finish` then copies the result to `view` if necessary.
    void write(const Device &device, const engine::TensorView &view, const ImageLayout &layout,
               PageBuffers &buffers);
    /// Prepare memory that holds floats without gaps on the GPU. The array at `view` has float32 or float16
    /// elements and any strides.
    void read_floats(const Device &device, const engine::TensorView &view, PageBuffers &buffers);
    void write_floats(const Device &device, const engine::TensorView &view, PageBuffers &buffers);
    void finish() const;
    /// Leave staging memory to the GPU, which still works with it. Buffers over pages stay, because Metal
    /// orders only uses of the same buffer.
    void leave() { staging_ = Staging(); }

    /// Return the memory as floats without gaps.
    ArrayView floats() const;
    /// Return the memory from image `first_image` on.
    ArrayView array(std::int64_t first_image) const;

    /// True if the GPU can access the array directly.
    static bool is_shared(const Device &device, const engine::TensorView &view, const ImageLayout &layout);
    static bool are_floats_shared(const Device &device, const engine::TensorView &view);

private:
    bool share(const Device &device, const engine::TensorView &view, const std::optional<Pitches> &pitches,
               PageBuffers &buffers);
    void stage(const Device &device, const engine::TensorView &view, const Pitches &pitches,
               bool as_floats = false);

    Staging staging_;
    const PageMemory *pages_ = nullptr; ///< kept alive by `pages_buffer_`
    objc_ptr<id<MTLBuffer>> pages_buffer_;
    engine::TensorView view_;
    Pitches pitches_;
    bool shared_ = false, as_floats_ = false;
    std::size_t offset_ = 0;
};

/// GPU-only memory for values between inputs and outputs.
class ArenaMemory {
public:
    /// Provide at least this many bytes; the previous contents are lost.
    void reserve(const Device &device, std::size_t bytes) {
        if (bytes <= bytes_) return;
        buffer_.reset(); // release first, so that memory for both is not needed at the same time
        bytes_ = 0;
        buffer_ = device.make_private_buffer(bytes);
        bytes_ = bytes;
    }
    id<MTLBuffer> buffer() const { return buffer_.get(); }

private:
    objc_ptr<id<MTLBuffer>> buffer_;
    std::size_t bytes_ = 0;
};

/// The memory of one request in flight.
struct Slot {
    std::vector<PortMemory> inputs, outputs;
    ArenaMemory arena;
    /// The pass of which one command buffer has taken some layers, and the next one takes others.
    mutable std::shared_ptr<Encoding> pass;

    /// Give the next request other memory than the GPU still works with, where Metal does not order both.
    void leave() {
        for (PortMemory &input : inputs) input.leave();
        for (PortMemory &output : outputs) output.leave();
        pass.reset();
    }
};

/// A session's slots. Their number limits the requests in flight.
class Slots {
public:
    explicit Slots(int count);

    /// Return a free slot; block until there is one. The slot is free again when the pointer is released. All
    /// slots must be free before this object is destroyed.
    std::shared_ptr<Slot> take();
    /// Release the memory of all slots.
    void clear() { slots_.clear(); }

private:
    void free(Slot *slot);

    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<std::unique_ptr<Slot>> slots_;
    /// The free slots. The most recently used slot is last. It is taken first, because its memory is in the
    /// caches.
    std::vector<Slot *> free_;
};

} // namespace mpscnn::metal
