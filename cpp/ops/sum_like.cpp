#include "ops/sum_like.h"

#include "core/text.h"

namespace mpscnn::ops {

namespace {

/// From the end: channels, columns and rows; the batch is 3. Axes that a shape lacks have one element.
std::int64_t image_extent(const Shape &shape, int axis) {
    if (axis == 3) return shape[0];
    return axis < shape.rank() - 1 ? shape[shape.rank() - 1 - axis] : 1;
}

} // namespace

void SumLike::check(const InputShapes &inputs) const {
    constexpr int image_axes = 4;
    bool fits = true;
    for (const Shape &shape : inputs) fits &= shape.rank() >= 2 && shape.rank() <= image_axes;
    for (int axis = 0; fits && axis < image_axes; ++axis) {
        const std::int64_t given = image_extent(inputs[0], axis), kept = image_extent(inputs[1], axis);
        fits = kept == 1 || kept == given || kept == Shape::any || given == Shape::any;
    }
    if (!fits)
        fail(ErrorKind::shape, {info.name, ": each extent of input 1 must be that of input 0 or 1, got ",
                                inputs[0].text(), " and ", inputs[1].text()});
}

} // namespace mpscnn::ops
