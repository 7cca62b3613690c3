#pragma once

// Tensors of bytes, and how sums become such.

#include "cpu/isa/kernel_math.h"
#include "cpu/kernels/tasks/fixed_point.h"
#include "cpu/kernels/tasks/integer.h"

namespace mpscnn::cpu {
namespace {

MPSCNN_INLINE const std::uint8_t *bytes_at(const ConstView &view, std::int64_t image, std::int64_t y,
                                           std::int64_t x) {
    return reinterpret_cast<const std::uint8_t *>(view.data) + image * view.image_stride +
           y * view.row_stride + x * view.pixel_stride;
}
MPSCNN_INLINE std::uint8_t *bytes_at(const View &view, std::int64_t image, std::int64_t y, std::int64_t x) {
    return reinterpret_cast<std::uint8_t *>(view.data) + image * view.image_stride + y * view.row_stride +
           x * view.pixel_stride;
}

/// `count` sums of the outputs from `first` on become bytes. At most `most` of them.
template <int most>
MPSCNN_INLINE void requantize(const Requantization &to, const std::int32_t *sums, std::int64_t first,
                              std::int64_t count, std::uint8_t *result) {
    const std::int32_t *m = to.multipliers + first, *shift = to.shifts + first;
    std::uint8_t bytes[most];
    // Of whole blocks: sums, multipliers and shifts have room for them.
    if (to.once)
        for (int i = 0; i < most; ++i)
            bytes[i] = static_cast<std::uint8_t>(
                limited(rounded_once(sums[i], m[i], shift[i]) + to.zero_point, to.low, to.high));
    else
        for (int i = 0; i < most; ++i)
            bytes[i] = static_cast<std::uint8_t>(
                limited(rounded_twice(sums[i], m[i], shift[i]) + to.zero_point, to.low, to.high));
    for (int i = 0; i < most; ++i)
        if (i < count) result[i] = bytes[i];
}

} // namespace
} // namespace mpscnn::cpu
