#pragma once

// Computes the source pixels between which an output of a resize is interpolated.

#include "cpu/isa/kernel_math.h"
#include "cpu/isa/kernels.h"

namespace mpscnn::cpu {
namespace {

/// The two source positions next to an output, and its distance from the first one. Position -1 stands for
/// zeros.
struct ResizeTap {
    std::int32_t first, second;
    float fraction;
};

inline ResizeTap resize_tap(const ResizeTask &task, const ResizePositions &axis, std::int64_t output,
                            std::int64_t size) {
    double position =
        (static_cast<double>(output) + axis.centre) * axis.numerator / axis.denominator + axis.offset;
    if (task.kind == ResizeKind::nearest) position += task.nearest_bias;
    // Clamp the position. With zeros outside, an output that is two or more positions beyond an end only
    // reads zeros.
    const double low = task.zero_outside ? -2.0 : 0.0, high = static_cast<double>(size) - 1.0 - low;
    position = position > low ? (position < high ? position : high) : low;
    auto first = static_cast<std::int64_t>(position);
    if (position < static_cast<double>(first)) --first;
    if (task.kind == ResizeKind::nearest && task.nearest_up && position > static_cast<double>(first)) ++first;
    const auto index = [&](std::int64_t at) {
        if (at >= 0 && at < size) return static_cast<std::int32_t>(at);
        return task.zero_outside ? -1 : static_cast<std::int32_t>(clamped(at, 0, size - 1));
    };
    if (task.kind == ResizeKind::nearest) return {index(first), index(first), 0.0f};
    return {index(first), index(first + 1), static_cast<float>(position - static_cast<double>(first))};
}

} // namespace
} // namespace mpscnn::cpu
