// Correlation of signals that are plain arrays. Every output is one sum over the taps in order. So outputs
// near the border, which are computed singly, have the same bits as those in the middle, which are computed
// in vectors.
//
// Registers hold eight vectors of outputs and one tap that is broadcast. With two to five or seven taps in
// one row, they hold all taps and four vectors of outputs. The speed is limited by loads, because each FMA
// reads unaligned samples. Every second load crosses a cache line if vectors are half as wide as a line, and
// every load if they are as wide.

#include "cpu/kernels/tasks/signal.h"
#include "cpu/isa/instance.h"
#include "cpu/isa/kernel_math.h"
#include "cpu/isa/simd_double.h"

namespace mpscnn::cpu {
namespace {

/// Compute a * b + c with the same rounding as the vectors' FMA.
template <class S, class T> MPSCNN_INLINE T multiply_add(T a, T b, T c) {
    if constexpr (!S::has_fma)
        return a * b + c;
    else if constexpr (sizeof(T) == sizeof(float))
        return __builtin_fmaf(a, b, c);
    else
        return __builtin_fma(a, b, c);
}

/// Return the source row that tap row `i` of output row `y` reads; null if it is outside of the source.
template <class T>
MPSCNN_INLINE const T *source_row(const SignalTask<T> &task, std::int64_t y, std::int64_t i) {
    std::int64_t row = y + i - task.top;
    if (row < 0 || row >= task.height) {
        if (!task.clamp) return nullptr;
        row = clamped(row, 0, task.height - 1);
    }
    return task.source + row * task.row_stride;
}

/// Compute one output, whose window may reach over the left or right border.
template <class S, class T> T border_sample(const SignalTask<T> &task, std::int64_t y, std::int64_t x) {
    T sum = 0;
    const std::int64_t start = x - task.left;
    const Range inside{clamped(-start, 0, task.kernel_width),
                       clamped(task.width - start, 0, task.kernel_width)};
    const Range taps = task.clamp ? Range{0, task.kernel_width} : inside;
    for (std::int64_t i = 0; i < task.kernel_height; ++i) {
        const T *row = source_row(task, y, i);
        if (!row) continue;
        const T *kernel = task.kernel + i * task.kernel_width;
        for (std::int64_t j = taps.begin; j < taps.end; ++j)
            sum = multiply_add<S, T>(kernel[j], row[clamped(start + j, 0, task.width - 1)], sum);
    }
    return sum;
}

/// Compute `Count` vectors of outputs whose windows do not reach over the left or right border.
template <class S, int Count, class T>
MPSCNN_INLINE void inner_block(const SignalTask<T> &task, std::int64_t y, std::int64_t x, T *destination) {
    typename S::reg sums[Count];
    for (int v = 0; v < Count; ++v) sums[v] = S::zero();
    for (std::int64_t i = 0; i < task.kernel_height; ++i) {
        const T *row = source_row(task, y, i);
        if (!row) continue;
        const T *kernel = task.kernel + i * task.kernel_width;
        const T *samples = row + x - task.left;
        for (std::int64_t j = 0; j < task.kernel_width; ++j) {
            const auto tap = S::set1(kernel[j]);
#pragma GCC unroll 8
            for (int v = 0; v < Count; ++v)
                sums[v] = S::fma(tap, S::load(samples + j + v * S::width), sums[v]);
        }
    }
#pragma GCC unroll 8
    for (int v = 0; v < Count; ++v) S::store(destination + x + v * S::width, sums[v]);
}

/// Compute outputs for a kernel of one row with `Taps` taps, which stay in registers. Return the first output
/// that remains.
template <class S, int Taps, class T>
std::int64_t inner_row(const SignalTask<T> &task, std::int64_t y, Range inner, T *destination) {
    constexpr int block = 4;
    const T *row = source_row(task, y, 0);
    if (!row) return inner.begin;
    typename S::reg taps[Taps];
    for (int t = 0; t < Taps; ++t) taps[t] = S::set1(task.kernel[t]);
    const T *samples = row - task.left;
    std::int64_t x = inner.begin;
    for (; x + block * S::width <= inner.end; x += block * S::width) {
#pragma GCC unroll 4
        for (int v = 0; v < block; ++v) {
            auto sum = S::zero();
#pragma GCC unroll 8
            for (int t = 0; t < Taps; ++t)
                sum = S::fma(taps[t], S::load(samples + x + v * S::width + t), sum);
            S::store(destination + x + v * S::width, sum);
        }
    }
    return x;
}

template <class S, class T>
std::int64_t short_kernel(const SignalTask<T> &task, std::int64_t y, Range inner, T *destination) {
    if (task.kernel_height != 1) return inner.begin;
    switch (task.kernel_width) {
    case 2:
        return inner_row<S, 2>(task, y, inner, destination);
    case 3:
        return inner_row<S, 3>(task, y, inner, destination);
    case 4:
        return inner_row<S, 4>(task, y, inner, destination);
    case 5:
        return inner_row<S, 5>(task, y, inner, destination);
    case 7:
        return inner_row<S, 7>(task, y, inner, destination);
    default:
        return inner.begin;
    }
}

template <class S, class T> void signal_row(const SignalTask<T> &task, std::int64_t y) {
    constexpr int block = 8;
    T *destination = task.destination + y * task.output_width;
    // Outputs [inner.begin, inner.end) read no sample outside the row.
    const std::int64_t first = clamped(task.left, 0, task.output_width);
    const std::int64_t behind =
        clamped(task.width - task.kernel_width + task.left + 1, first, task.output_width);
    std::int64_t x = 0;
    for (; x < first; ++x) destination[x] = border_sample<S>(task, y, x);
    x = short_kernel<S>(task, y, {x, behind}, destination);
    for (; x + block * S::width <= behind; x += block * S::width)
        inner_block<S, block>(task, y, x, destination);
    for (; x + S::width <= behind; x += S::width) inner_block<S, 1>(task, y, x, destination);
    for (; x < task.output_width; ++x) destination[x] = border_sample<S>(task, y, x);
}

template <class S, class T> void signal_run(const SignalTask<T> &task) {
    for (std::int64_t y = 0; y < task.output_height; ++y) signal_row<S>(task, y);
}

} // namespace
} // namespace mpscnn::cpu

void mpscnn::cpu::MPSCNN_SET::get(SignalKernels &kernels) {
    kernels = {signal_run<Simd, float>, signal_run<DoubleSimd, double>};
}
