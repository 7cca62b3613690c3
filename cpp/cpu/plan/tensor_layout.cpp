#include "cpu/plan/tensor_layout.h"

#include "core/error.h"

namespace mpscnn::cpu {

namespace {

/// Pixels at multiples of this distance compete for one or two sets of L1, if it has ways of 4 KiB.
constexpr std::int64_t set_conflict_bytes = 2048;
constexpr std::int64_t cache_line_bytes = 64;

std::int64_t padded_pitch(std::int64_t channels, std::int64_t vector_width, Element element) {
    const std::int64_t pitch = (channels + vector_width - 1) / vector_width * vector_width;
    const std::int64_t size = size_of(element);
    return pitch * size % set_conflict_bytes == 0 ? pitch + cache_line_bytes / size : pitch;
}

} // namespace

Extents extents_of(const Shape &shape) {
    Extents extents;
    const int rank = shape.rank();
    if (rank > 0) extents.batch = shape[0];
    if (rank > 1) extents.channels = shape.back();
    if (rank > 2) extents.width = shape[rank - 2];
    for (int axis = 1; axis < rank - 2; ++axis) extents.height *= shape[axis];
    return extents;
}

Strides contiguous_strides(const Extents &extents, std::ptrdiff_t image) {
    return uniform_strides(extents, {image, extents.width * extents.channels, extents.channels});
}

Strides uniform_strides(const Extents &extents, Strides strides) {
    if (extents.batch == 1) {
        if (extents.height == 1) strides.row = extents.width * strides.pixel;
        strides.image = extents.height * strides.row;
    }
    if (extents.height == 1) strides.row = strides.image;
    if (extents.width == 1) strides.pixel = strides.row;
    return strides;
}

Strides arena_strides(const Extents &extents, bool contiguous, std::int64_t vector_width, Element element) {
    const std::int64_t channels = extents.channels;
    // Do not pad pixels of few channels (photos), because their images would become several times larger.
    const bool pad = extents.pixels() == 1 || (!contiguous && channels >= vector_width);
    const std::int64_t pitch = pad ? padded_pitch(channels, vector_width, element) : channels;
    return {extents.pixels() * pitch, extents.width * pitch, pitch};
}

std::size_t Storage::bytes() const {
    const Shape all{extents.batch, strides.image, size_of(element)};
    return static_cast<std::size_t>(all.elements()); // throws for a product beyond 64 bits
}

View Region::bind(const Binding &binding, const Storage &home) const {
    const bool as_stored = whole == home.extents;
    Strides strides = as_stored ? binding.strides : contiguous_strides(whole, binding.strides.image);
    View view;
    // Planning binds tensors that no memory can hold, too. Their offsets may wrap around.
    using Offset = std::uintptr_t;
    const Offset first = static_cast<Offset>(y) * static_cast<Offset>(strides.row) +
                         static_cast<Offset>(x) * static_cast<Offset>(strides.pixel) +
                         static_cast<Offset>(channel);
    view.data = reinterpret_cast<float *>(reinterpret_cast<std::uintptr_t>(binding.data) +
                                          first * static_cast<Offset>(size_of(home.element)));
    view.element = home.element;
    view.batch = extents.batch;
    view.height = extents.height;
    view.width = extents.width;
    view.channels = extents.channels;
    // The kernel that writes the last channels of a pixel may overwrite the padding after it.
    const bool last = as_stored && binding.own && channel + extents.channels == home.extents.channels;
    view.writable_channels = last ? home.strides.pixel - channel : extents.channels;
    strides.row *= row_step;
    strides.pixel *= column_step;
    strides = uniform_strides(extents, strides);
    view.image_stride = strides.image;
    view.row_stride = strides.row;
    view.pixel_stride = strides.pixel;
    return view;
}

} // namespace mpscnn::cpu
