#pragma once

// Tasks of networks in int8 precision. Their tensors are bytes: uint8 integers as they are, int8 ones with
// 128 added, so that zero points and limits here are 0 to 255.

#include "cpu/kernels/tasks/task.h"

namespace mpscnn::cpu {

/// What becomes of a layer's 32-bit sums: multiplied by m * 2^(shift - 31), moved by the zero point and
/// clamped.
struct Requantization {
    const std::int32_t *multipliers = nullptr, *shifts = nullptr; ///< of each output
    std::int32_t zero_point = 0, low = 0, high = 255;
    /// Rounded once, ties up, as dense layers are; else the product by its upper 32 bits and the shift, the
    /// latter with ties away from zero.
    bool once = false;
};

/// Weights of a convolution or dense layer without their zero points, -255 to 255, in the order of its
/// kernel.
struct IntegerWeights {
    static constexpr std::int64_t panel = 16; ///< outputs side by side

    std::int64_t groups = 1, inputs = 1, outputs = 1; ///< the latter two of one group
    std::int64_t taps = 1;
    /// Depthwise, one output for each input: [tap][channel]. Else for each group, panel and pair of inputs
    /// [output][2], zeros after the last input and output.
    const std::int16_t *values = nullptr;
    /// Instead, for kernels that multiply four bytes at a time, 8-bit integers. Inputs are `runs` of bytes
    /// that lie side by side, zeros after the last of each up to a multiple of 4: for each panel and four
    /// inputs [output][4]. Depthwise: for each panel two parts, which are added, of each part for four rows
    /// of the window and each of its columns [channel][4].
    const std::int8_t *quads = nullptr;
    std::int64_t runs = 1;
    /// What 8 bits do not hold: for panel p those from rest_first[p] to rest_first[p + 1], each added to the
    /// weights of one of the panel's steps. Null: nothing.
    const std::int32_t *rest_first = nullptr, *rest_steps = nullptr;
    const std::int8_t *rest_quads = nullptr;
    /// Of each output; next to quads without what the source's zero point adds.
    const std::int32_t *bias = nullptr;

    constexpr bool is_depthwise() const { return groups > 1 && inputs == 1 && outputs == 1; }
    /// Of inputs and taps.
    constexpr std::int64_t pairs() const { return (inputs * taps + 1) / 2; }
    constexpr std::int64_t run_steps() const { return (inputs * taps / runs + 3) / 4; }
    constexpr std::int64_t quad_steps() const { return runs * run_steps(); }
    constexpr std::int64_t panels() const { return (outputs + panel - 1) / panel; }
};

struct IntegerConvolutionTask {
    ConstView source;
    View destination;
    WindowAxis vertical, horizontal;
    IntegerWeights weights;
    std::int32_t source_zero = 0;
    Requantization requantization;

    const char *kernel_name() const {
        if (weights.is_depthwise()) return weights.quads ? "integer depthwise by fours" : "integer depthwise";
        return weights.quads ? "integer convolution by fours" : "integer convolution";
    }
};

/// Means over the pixels of each window that lie in the source, rounded to nearest, ties away from `centre`.
struct IntegerPoolingTask {
    ConstView source;
    View destination;
    WindowAxis vertical, horizontal;
    std::int32_t centre = 0; ///< the integer 0: 128 where int8 ones are stored
    std::int32_t low = 0, high = 255;

    const char *kernel_name() const { return "integer pooling"; }
};

/// What an operand of a sum contributes: (x - zero) * 2^20, multiplied by m * 2^(shift - 31) and rounded
/// twice.
struct IntegerTerms {
    std::int32_t zero = 0, multiplier = 0, shift = 0;
    const std::int32_t *of_all = nullptr; ///< of each of the 256 integers
};

/// The sum or difference of two tensors, or of one with a row, column or channel that all of its own share.
struct IntegerSumTask {
    ConstView source, second; ///< rows, columns or channels may be 1 where the destination has more
    View destination;
    IntegerTerms source_terms, second_terms;
    bool subtracts = false;
    Requantization requantization; ///< with the same multiplier and shift in the places of one panel

    const char *kernel_name() const { return "integer sum"; }
};

/// The product of such.
struct IntegerProductTask {
    ConstView source, second; ///< rows, columns or channels may be 1 where the destination has more
    View destination;
    std::int32_t source_zero = 0, second_zero = 0;
    Requantization requantization; ///< with the same multiplier and shift in the places of one panel

    const char *kernel_name() const { return "integer product"; }
};

/// The largest integer of each window's pixels that lie in the source.
struct IntegerMaximumTask {
    ConstView source;
    View destination;
    WindowAxis vertical, horizontal;
    std::int32_t low = 0, high = 255;

    const char *kernel_name() const { return "integer maximum"; }
};

/// The nearest pixel, as TensorFlow Lite's reference kernels find it.
struct IntegerNearestTask {
    ConstView source;
    View destination;
    bool corners = false, half_pixels = false;

    const char *kernel_name() const { return "integer nearest"; }
};

/// The source with a border of one integer; amounts below zero cut it.
struct IntegerBorderTask {
    ConstView source;
    View destination;
    std::int64_t top = 0, left = 0, front = 0;
    std::uint8_t value = 0;

    const char *kernel_name() const { return "integer border"; }
};

/// Means along the axes of which the destination has one place.
struct IntegerMeanTask {
    ConstView source;
    View destination;
    std::int32_t source_zero = 0;
    std::int32_t multiplier = 0, shift = 0;           ///< what sums are multiplied by: m * 2^(shift - 31)
    std::int32_t zero_point = 0, low = 0, high = 255; ///< as Requantization's

    const char *kernel_name() const { return "integer mean"; }
};

/// Each integer replaced: other scales and zero points, limits, functions.
struct IntegerTableTask {
    ConstView source;
    View destination;
    const std::uint8_t *table = nullptr; ///< of each of the 256 integers; null: itself

    const char *kernel_name() const { return "integer table"; }
};

/// Bilinear, as TensorFlow Lite's reference kernels compute it: uint8 by float32 numbers, int8 by positions
/// and weights with 10 bits after the point.
struct IntegerResizeTask {
    ConstView source;
    View destination;
    bool corners = false, half_pixels = false;
    bool is_signed = false; ///< int8

    const char *kernel_name() const { return "integer resize"; }
};

/// Softmax over the channels; of the result 256 stands for 1.
struct IntegerSoftmaxTask {
    ConstView source;
    View destination;
    /// For each distance below the largest integer, 0 to 255, the exponential as a fraction of 31 bits; -1:
    /// too far to count.
    const std::int32_t *exponentials = nullptr;

    const char *kernel_name() const { return "integer softmax"; }
};

/// Numbers as integers: to nearest, ties away from zero, at most the limits; a NaN is the zero point.
struct QuantizationTask {
    ConstView source;
    View destination;
    float scale = 1.0f;
    std::int32_t zero_point = 0;

    const char *kernel_name() const { return "quantization"; }
};

/// Integers as numbers.
struct DequantizationTask {
    ConstView source;
    View destination;
    float scale = 1.0f;
    std::int32_t zero_point = 0;

    const char *kernel_name() const { return "dequantization"; }
};

} // namespace mpscnn::cpu
