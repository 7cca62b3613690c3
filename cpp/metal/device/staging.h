#pragma once

#include <cstddef>

#include "engine/backend/backend.h"
#include "metal/device/device.h"

namespace mpscnn::metal {

/// Memory for one input or output, without gaps, that processor and GPU share.
class Staging {
public:
    /// Provide at least this many bytes; the previous contents are lost.
    void reserve(const Device &device, std::size_t bytes);
    std::size_t bytes() const { return bytes_; }
    id<MTLBuffer> buffer() const { return buffer_.get(); }

    /// Copy the elements of `view` to this memory, in the view's type or as floats.
    void copy_from(const engine::TensorView &view);
    void copy_to(const engine::TensorView &view) const;
    void floats_from(const engine::TensorView &view);
    void floats_to(const engine::TensorView &view) const;

private:
    std::byte *contents() const { return static_cast<std::byte *>([buffer_.get() contents]); }

    objc_ptr<id<MTLBuffer>> buffer_;
    std::size_t bytes_ = 0;
};

} // namespace mpscnn::metal
