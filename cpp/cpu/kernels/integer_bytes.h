#pragma once

// Tensors of bytes.

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

} // namespace
} // namespace mpscnn::cpu
