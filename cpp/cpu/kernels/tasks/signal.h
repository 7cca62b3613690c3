#pragma once

#include <cstddef>
#include <cstdint>

namespace mpscnn::cpu {

/// Correlates one signal of one or two axes with a kernel: destination[y][x] = sum over taps of kernel[i][j]
/// * source[y + i - top][x + j - left]. A signal of one axis has height 1.
template <class T> struct SignalTask {
    const T *source = nullptr; ///< the elements of a row are contiguous, also in kernel and destination
    std::int64_t height = 1, width = 1;
    std::ptrdiff_t row_stride = 0; ///< stride in elements
    const T *kernel = nullptr;
    std::int64_t kernel_height = 1, kernel_width = 1;
    std::int64_t top = 0, left = 0;
    bool clamp = false; ///< true: taps outside the signal read the nearest sample; false: these are skipped
    T *destination = nullptr;
    std::int64_t output_height = 1, output_width = 1;
};

/// Kernels for signals outside of networks. Each call computes a whole task.
struct SignalKernels {
    void (*float32)(const SignalTask<float> &) = nullptr;
    void (*float64)(const SignalTask<double> &) = nullptr;
};

} // namespace mpscnn::cpu
