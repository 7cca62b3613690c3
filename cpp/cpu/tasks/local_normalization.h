#pragma once

#include "cpu/tasks/task.h"

namespace mpscnn::cpu {

/// destination = epilogue(source / (delta + scale * sum of source^2)^beta), the sum over the channels
/// [k - before, k + after] that exist.
struct CrossChannelTask {
    ConstView source;
    View destination;
    std::int64_t before = 0, after = 0; ///< less than the number of channels
    float scale = 1.0f, beta = 1.0f, delta = 1.0f;
    Epilogue epilogue{};

    const char *kernel_name() const { return "cross channel"; }
};

/// One axis of a window of stride 1: output o has its centre at source position o + offset and covers the
/// positions from kernel / 2 before it to (kernel - 1) / 2 behind it.
struct CentredAxis {
    std::int64_t kernel = 1, offset = 0;
};

enum class WindowNormalizationKind { spatial, local_contrast };

/// With the sums over kernel height * kernel width positions of one channel, those outside the source reading
/// zero or, if it clamps, the nearest pixel:
///   spatial         x / (delta + alpha * mean of x^2)^beta
///   local_contrast  pm + ps * (x - p0 * mean) / (delta + alpha * variance)^beta
struct WindowNormalizationTask {
    WindowNormalizationKind kind = WindowNormalizationKind::spatial;
    ConstView source;
    View destination;
    CentredAxis vertical{}, horizontal{};
    bool clamps = false;
    float alpha = 1.0f, beta = 1.0f, delta = 1.0f;
    float p0 = 1.0f, pm = 0.0f, ps = 1.0f;
    Epilogue epilogue{};

    const char *kernel_name() const { return "window normalization"; }
};

} // namespace mpscnn::cpu
