#pragma once

// Addresses of pixels, and strips of pixels without gaps.

#include "cpu/isa/kernel_math.h"
#include "cpu/isa/kernels.h"

namespace mpscnn::cpu {
namespace {

/// Return the address of a pixel.
template <class Element = float>
MPSCNN_INLINE Element *pixel_at(const View &view, std::int64_t image, std::int64_t y, std::int64_t x) {
    return reinterpret_cast<Element *>(view.data) + image * view.image_stride + y * view.row_stride +
           x * view.pixel_stride;
}
template <class Element = float>
MPSCNN_INLINE const Element *pixel_at(const ConstView &view, std::int64_t image, std::int64_t y,
                                      std::int64_t x) {
    return reinterpret_cast<const Element *>(view.data) + image * view.image_stride + y * view.row_stride +
           x * view.pixel_stride;
}

/// Return true if there is no gap between rows, so that several rows can be treated as one.
template <class AnyView> MPSCNN_INLINE bool rows_join(const AnyView &view) {
    return view.row_stride == view.width * view.pixel_stride;
}

/// Return true if there are no gaps between rows and between images.
template <class AnyView> MPSCNN_INLINE bool images_join(const AnyView &view) {
    return rows_join(view) && (view.batch == 1 || view.image_stride == view.height * view.row_stride);
}

/// Call visit(y, count) for `count` pixels at constant distances, from the start of row y on. With `join`
/// this is one call for all rows, otherwise one for each row.
template <class Visit>
MPSCNN_INLINE void for_each_strip(const Range &rows, std::int64_t width, bool join, Visit visit) {
    if (join) return visit(rows.begin, rows.size() * width);
    for (std::int64_t y = rows.begin; y < rows.end; ++y) visit(y, width);
}

} // namespace
} // namespace mpscnn::cpu
