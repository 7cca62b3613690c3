#pragma once

// Access to tensors of bytes.

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

/// Return the end of the tensor's bytes. Kernels must not read beyond it.
MPSCNN_INLINE const std::uint8_t *end_of(const ConstView &view) {
    return bytes_at(view, view.batch - 1, view.height - 1, view.width - 1) + view.channels;
}

/// Return the taps of an output's window that are inside the source, along one axis.
MPSCNN_INLINE Range taps_inside(const WindowAxis &axis, std::int64_t output, std::int64_t size) {
    const std::int64_t start = output * axis.stride - axis.before;
    return {max(divide_up(-start, axis.dilation), 0),
            min(divide_up(size - start, axis.dilation), axis.kernel)};
}

/// Return the number of source columns that `outputs` pixels of a row read.
MPSCNN_INLINE std::int64_t columns_of(const WindowAxis &axis, std::int64_t outputs) {
    return (outputs - 1) * axis.stride + (axis.kernel - 1) * axis.dilation + 1;
}

} // namespace
} // namespace mpscnn::cpu
