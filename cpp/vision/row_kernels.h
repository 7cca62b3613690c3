#pragma once

// The inner loops of a resize. On x86-64 they are also compiled for AVX2. Every result is the same sum in the
// same order on all processors.

#include <cstddef>
#include <cstdint>

#include "vision/image_view.h"

namespace mpscnn::vision {

/// The floats of a vector in horizontal resampling: a pixel of four samples, or one of three and the float
/// after it.
inline constexpr std::size_t pixel_lanes = 4;

/// The weights of all outputs of an axis. Output i is the sum over t of weights[i * stride + t] times pixel
/// firsts[i] + t. t is below counts[i]. It may also go on to `stride`, because the weights after the count
/// are 0.
struct RowTaps {
    const int *firsts;
    const int *counts;
    const float *weights;
    std::size_t stride, outputs;
};

struct RowKernels {
    /// Compute sums[i] = (start ? 0 : sums[i]) + sum over the `count` rows of weight times sample i, in
    /// order.
    template <class Sample>
    using AddRows = void(const std::byte *const *rows, const float *weights, std::size_t count, bool start,
                         std::size_t length, float *sums);
    AddRows<std::uint8_t> *add_rows_uint8;
    AddRows<std::uint16_t> *add_rows_uint16;
    AddRows<float> *add_rows_float32;

    /// Convert samples of any type except float16 to floats.
    void (*convert)(const std::byte *samples, SampleType type, std::size_t length, float *result);
    /// Return true if the fourth byte (alpha) of all pixels is 255.
    bool (*opaque)(const std::byte *samples, std::size_t pixels);
    /// Compute (255 - x) alpha for pixels of four bytes. The result is 255 times the amount by which a sample
    /// darkens white.
    void (*shade)(const std::byte *samples, std::size_t pixels, std::uint16_t *result);
    /// Composite pixels of four samples in place: x alpha / white + white (1 - alpha / white). The fourth
    /// sample then has no meaning.
    void (*composite)(float *samples, std::size_t pixels, float white);

    /// Replace samples below 0 by 0, and samples above white by white. NaN stays NaN.
    void (*limit)(float *samples, std::size_t length, float white);

    /// Interleave pixels of 1 sample from four rows, or of 2 from two rows, to pixels of four.
    void (*interleave1)(const float *const *rows, std::size_t pixels, float *result);
    void (*interleave2)(const float *const *rows, std::size_t pixels, float *result);

    /// Resample a row. `inputs` has `stride` more pixels than needed, each of `samples` samples (3 or 4), and
    /// one more float; the values of these are finite but otherwise arbitrary. `outputs` also has one more
    /// float, which is overwritten.
    /// If `exact` is false, taps up to the stride are used, whose weights are 0.
    void (*resample)(const float *inputs, std::size_t samples, const RowTaps &taps, bool exact,
                     float *outputs);
};

/// Return the best kernels for this processor.
const RowKernels &row_kernels();

} // namespace mpscnn::vision
