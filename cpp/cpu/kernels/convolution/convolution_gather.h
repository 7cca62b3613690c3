#pragma once

// Copies windows to rows of memory (im2col), with zeros for taps outside the source. The speed is limited by
// loads and stores.

#include "cpu/isa/kernel_math.h"
#include "cpu/kernels/shared/window_taps.h"

namespace mpscnn::cpu {
namespace {

/// Copy `count` floats, or write zeros if `source` is null. Up to one vector more may be written, but not
/// read.
template <class V> inline void gather_piece(const float *source, float *target, std::int64_t count) {
    std::int64_t i = 0;
    for (; i + V::width <= count; i += V::width)
        V::store(target + i, source ? V::load(source + i) : V::zero());
    if (i < count) V::store(target + i, source ? V::load_partial(source + i, count - i) : V::zero());
}

/// Write `count` products source[i] * factors[i]. Up to one vector more may be written, but not read.
template <class V>
inline void gather_product(const float *source, const float *factors, float *target, std::int64_t count) {
    std::int64_t i = 0;
    for (; i + V::width <= count; i += V::width)
        V::store(target + i, V::mul(V::load(source + i), V::load(factors + i)));
    if (i < count)
        V::store(target + i,
                 V::mul(V::load_partial(source + i, count - i), V::load_partial(factors + i, count - i)));
}

/// Gather the window of output pixel (y, x) as one row of floats.
template <class V>
inline void gather_window(const ConvolutionTask &task, const float *image, std::int64_t y, std::int64_t x,
                          float *target) {
    const ConstView &source = task.source;
    const WindowAxis &vertical = task.vertical, &horizontal = task.horizontal;
    const std::int64_t length = task.packed->inputs_per_group;
    const std::int64_t left = window_begin(horizontal, x);
    const bool merged = horizontal.dilation == 1 && source.pixel_stride == length && left >= 0 &&
                        left + horizontal.kernel <= source.width;
    for (std::int64_t i = 0; i < vertical.kernel; ++i) {
        const std::int64_t row = window_begin(vertical, y) + i * vertical.dilation;
        const float *line = row >= 0 && row < source.height ? image + row * source.row_stride : nullptr;
        if (!line || merged) {
            gather_piece<V>(line ? line + left * length : nullptr, target, horizontal.kernel * length);
            target += horizontal.kernel * length;
            continue;
        }
        for (std::int64_t j = 0; j < horizontal.kernel; ++j, target += length) {
            const std::int64_t column = left + j * horizontal.dilation;
            const bool exists = column >= 0 && column < source.width;
            gather_piece<V>(exists ? line + column * source.pixel_stride : nullptr, target, length);
        }
    }
}

} // namespace
} // namespace mpscnn::cpu
