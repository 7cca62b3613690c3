#pragma once

#include <memory>

#include "metal/device/page_buffers.h"
#include "metal/device/staging.h"
#include "metal/encoding/array_view.h"

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

} // namespace mpscnn::metal
