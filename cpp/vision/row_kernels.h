#pragma once

// The inner loops of a resize. They are compiled for AVX2 too where the processor family has it; either way
// every result is the same sum, product by product in the same order.

#include <cstddef>
#include <cstdint>

#include "vision/image_view.h"

namespace mpscnn::vision {

/// Horizontal resampling works on vectors of four: a pixel, or one of three samples and the float after it.
inline constexpr std::size_t pixel_lanes = 4;

/// The weights of all outputs of an axis: output i is the sum of weights[i * stride + t] times pixel
/// firsts[i] + t over t below its `counts[i]`, or below `stride`, where weights after the count are 0.
struct RowTaps {
    const int *firsts;
    const int *counts;
    const float *weights;
    std::size_t stride, outputs;
};

struct RowKernels {
    /// sums[i] = (start ? 0 : sums[i]) + sum over the `count` rows of weight times sample i, in their order.
    template <class Sample>
    using AddRows = void(const std::byte *const *rows, const float *weights, std::size_t count, bool start,
                         std::size_t length, float *sums);
    AddRows<std::uint8_t> *add_rows_uint8;
    AddRows<std::uint16_t> *add_rows_uint16;
    AddRows<float> *add_rows_float32;

    /// Samples as floats; not of float16.
    void (*convert)(const std::byte *samples, SampleType type, std::size_t length, float *result);
    /// Whether all `pixels` of four bytes have 255 as the last one.
    bool (*opaque)(const std::byte *samples, std::size_t pixels);
    /// Compute (255 - x) alpha for pixels of four bytes: 255 times the amount by which they darken white.
    void (*shade)(const std::byte *samples, std::size_t pixels, std::uint16_t *result);
    /// In place, of pixels of four: x alpha / white + white (1 - alpha / white). A fourth sample is left that
    /// means nothing.
    void (*composite)(float *samples, std::size_t pixels, float white);

    /// Pixels of 1 sample from four rows, or of 2 from two rows, to pixels of four.
    void (*interleave1)(const float *const *rows, std::size_t pixels, float *result);
    void (*interleave2)(const float *const *rows, std::size_t pixels, float *result);

    /// `inputs` are pixels of `samples`, 3 or 4, with stride pixels and one float of any finite value behind
    /// the last; `outputs` in the same way, with one float that is written after the last. All taps to their
    /// stride where `exact` is false.
    void (*resample)(const float *inputs, std::size_t samples, const RowTaps &taps, bool exact,
                     float *outputs);
};

/// The best for this processor.
const RowKernels &row_kernels();

} // namespace mpscnn::vision
