#pragma once

#include <cstddef>
#include <cstdint>

namespace mpscnn::cpu {

/// One signal of one or two axes (one axis: a height of 1), correlated with a kernel:
/// destination[y][x] = sum over taps of kernel[i][j] * source[y + i - top][x + j - left].
template <class T> struct SignalTask {
    const T *source = nullptr; ///< elements of a row are contiguous, as those of kernel and destination
    std::int64_t height = 1, width = 1;
    std::ptrdiff_t row_stride = 0; ///< in elements
    const T *kernel = nullptr;
    std::int64_t kernel_height = 1, kernel_width = 1;
    std::int64_t top = 0, left = 0;
    bool clamp = false; ///< what lies outside reads as the nearest sample; otherwise such taps are left out
    T *destination = nullptr;
    std::int64_t output_height = 1, output_width = 1;
};

/// Plain signals are not part of a network: they have kernels of their own, which compute a whole task.
struct SignalKernels {
    void (*float32)(const SignalTask<float> &) = nullptr;
    void (*float64)(const SignalTask<double> &) = nullptr;
};

} // namespace mpscnn::cpu
