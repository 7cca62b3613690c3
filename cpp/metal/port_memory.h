#pragma once

#include <memory>

#include "core/page_memory.h"
#include "metal/staging.h"

namespace mpscnn::metal {

/// Where the GPU reads or writes one input or output: the caller's own pages where it can (PageMemory), else
/// staging memory and a copy.
class PortMemory {
public:
    /// The GPU will read what is at `view` now.
    void read(const Device &device, const engine::TensorView &view);
    /// The GPU will write what `finish` leaves at `view`.
    void write(const Device &device, const engine::TensorView &view);
    void finish() const;

    id<MTLBuffer> buffer() const { return shared_ ? pages_buffer_.get() : staging_.buffer(); }
    /// Of the first element in the buffer.
    std::size_t offset() const { return offset_; }

private:
    bool share(const Device &device, const engine::TensorView &view);
    void stage(const Device &device, const engine::TensorView &view);

    Staging staging_;
    const PageMemory *pages_ = nullptr; ///< which `pages_buffer_` keeps
    objc_ptr<id<MTLBuffer>> pages_buffer_;
    engine::TensorView view_;
    bool shared_ = false;
    std::size_t offset_ = 0;
};

} // namespace mpscnn::metal
