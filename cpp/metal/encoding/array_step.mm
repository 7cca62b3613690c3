#include "metal/encoding/array_step.h"

#include <algorithm>
#include <iterator>
#include <limits>

namespace mpscnn::metal {

using engine::TensorView;

namespace {

/// The axes of an image: images, rows, columns, channels.
struct ImageAxes {
    std::int64_t extents[4];
    std::ptrdiff_t strides[4];
};

std::optional<ImageAxes> axes_of(const TensorView &view) {
    const Shape &shape = view.shape;
    const auto &step = view.strides;
    if (shape.rank() == 4)
        return ImageAxes{{shape[0], shape[1], shape[2], shape[3]}, {step[0], step[1], step[2], step[3]}};
    if (shape.rank() == 2) return ImageAxes{{shape[0], 1, 1, shape[1]}, {step[0], 0, 0, step[1]}};
    return std::nullopt;
}

/// True if all indices into the array fit the shaders' 32 bits.
bool can_be_reached(const Pitches &pitches, const ImageLayout &layout) {
    const std::int64_t last = (layout.images - 1) * pitches.image + (layout.height - 1) * pitches.row +
                              (layout.width - 1) * pitches.column + layout.channels - 1;
    return last <= std::numeric_limits<std::uint32_t>::max();
}

} // namespace

Pitches Pitches::dense(const ImageLayout &layout) {
    const std::int64_t row = layout.width * layout.channels;
    return {layout.channels, row, layout.height * row};
}

std::optional<Pitches> pitches_of(const TensorView &view, const ImageLayout &layout) {
    if (view.is_dense()) return Pitches::dense(layout);
    const auto axes = axes_of(view);
    if (!axes) return std::nullopt;
    const auto &[images, height, width, channels] = axes->extents;
    if (height != layout.height || width != layout.width || channels != layout.channels) return std::nullopt;
    const auto element = static_cast<std::ptrdiff_t>(size_of(view.type));
    const bool fits = std::all_of(std::begin(axes->strides), std::end(axes->strides),
                                  [&](std::ptrdiff_t step) { return step >= 0 && step % element == 0; });
    if (!fits || (channels > 1 && axes->strides[3] != element)) return std::nullopt;
    const Pitches pitches{axes->strides[2] / element, axes->strides[1] / element, axes->strides[0] / element};
    return can_be_reached(pitches, layout) ? std::optional(pitches) : std::nullopt;
}

std::size_t span_of(const TensorView &view) {
    std::ptrdiff_t last = 0;
    for (int axis = 0; axis < view.shape.rank(); ++axis)
        last += (view.shape[axis] - 1) * view.strides[static_cast<std::size_t>(axis)];
    return static_cast<std::size_t>(last) + size_of(view.type);
}

} // namespace mpscnn::metal
