#pragma once

// Tasks of networks in int8 precision. Their tensors are bytes: uint8 integers are stored unchanged, and int8
// integers plus 128. So zero points and limits here are 0 to 255.

#include "cpu/kernels/tasks/task.h"

namespace mpscnn::cpu {

/// The requantization of a layer's 32-bit sums to its results: multiply by m * 2^(shift - 31), add the zero
/// point, clamp.
struct Requantization {
    const std::int32_t *multipliers = nullptr, *shifts = nullptr; ///< one for each output
    std::int32_t zero_point = 0, low = 0, high = 255;
    /// If true, the product is rounded once, ties up, as in dense layers. If false, it is rounded twice:
    /// first to its upper 32 bits, and then in the shift, with ties away from zero.
    bool once = false;
    /// If not null, each sum is an unsigned integer that includes an offset. With the offset, one rounding to
    /// nearest gives the exact result (see plan/rounding_offset.h). Each panel has 16 factors and then 16
    /// numbers that are added to the products. In both, the even outputs come first. Only kernels with
    /// QuadKernels::has_factors support this.
    const double *factors = nullptr;
    /// As `factors`, for one FMA of floats. Each panel has 16 factors and then 16 numbers that are added, in
    /// the order of the outputs. If the limits keep ties below the zero point, three more sets of 16 follow:
    /// FloatOffset::added_below, and the integers more_below and split. Only kernels with
    /// QuadKernels::has_floats support this. At most one of both is not null.
    const float *floats = nullptr;

    /// Return true if the limits keep results that two roundings round away from zero, not up.
    constexpr bool has_ties() const { return !once && low < zero_point; }
    constexpr std::int64_t sets_of_floats() const { return has_ties() ? 5 : 2; }
};

/// Weights of a convolution or dense layer minus their zero points, -255 to 255, in the order of its kernel.
struct IntegerWeights {
    static constexpr std::int64_t panel = 16; ///< a panel is this many adjacent outputs

    std::int64_t groups = 1, inputs = 1, outputs = 1; ///< inputs and outputs of one group
    std::int64_t taps = 1;
    /// The weights as 16-bit integers. A depthwise layer, which has one output for each input, has
    /// [tap][channel]. Other layers have [output][2] for each group, panel and pair of inputs, padded with
    /// zeros.
    const std::int16_t *values = nullptr;
    /// For each output the sum of v * w over two adjacent pairs v and w of its weights, which are multiplied
    /// element by element. Kernels that multiply sums of inputs and weights subtract it.
    const std::int32_t *products = nullptr;
    /// The weights as 8-bit integers, for kernels that multiply four bytes at a time. Inputs form `runs` runs
    /// of adjacent bytes, and each run is padded with zeros to a multiple of 4. The layout is
    /// [panel][four inputs][output][4]. In a depthwise layer each weight is the sum of two bytes, and the
    /// layout is [panel][first or second summand][four rows of the window][column][channel][4].
    const std::int8_t *quads = nullptr;
    std::int64_t runs = 1;
    /// Second summands of weights that do not fit 8 bits; null if there are none. Panel p has the summands
    /// from index rest_first[p] to rest_first[p + 1] - 1. Each of them is added to the weights of one step
    /// (four inputs) of the panel.
    const std::int32_t *rest_first = nullptr, *rest_steps = nullptr;
    const std::int8_t *rest_quads = nullptr;
    /// With QuadKernels::adds_in_pairs: the order of each panel's steps. The first 2 * doubles[p] steps of
    /// panel p are double: the sums of two pairs of products, of two adjacent steps in this order, fit 16
    /// bits. The next steps, up to `narrow[p]`, have quads, too. The other steps have 16-bit weights instead:
    /// [register of 8 outputs][first or second two inputs][output][2], from wides + wide_first[p] on. Steps
    /// are numbered, but if there is one run, the place of the first input is stored instead.
    const std::int32_t *step_order = nullptr, *doubles = nullptr, *narrow = nullptr;
    const std::int64_t *wide_first = nullptr;
    const std::int16_t *wides = nullptr;
    /// One bias for each output. With `quads`, the contribution of the source's zero point is already
    /// subtracted.
    const std::int32_t *bias = nullptr;

    constexpr bool is_depthwise() const { return groups > 1 && inputs == 1 && outputs == 1; }
    /// Return the number of pairs into which the inputs of all taps are divided.
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

/// The mean of the source's pixels in each window, rounded to nearest, ties away from `centre`.
struct IntegerPoolingTask {
    ConstView source;
    View destination;
    WindowAxis vertical, horizontal;
    std::int32_t centre = 0; ///< the stored byte that means 0: 128 for int8 tensors
    std::int32_t low = 0, high = 255;

    const char *kernel_name() const { return "integer pooling"; }
};

/// The contribution of an operand to a sum: (x - zero) * 2^20, multiplied by m * 2^(shift - 31) and rounded
/// twice.
struct IntegerTerms {
    std::int32_t zero = 0, multiplier = 0, shift = 0;
    const std::int32_t *of_all = nullptr; ///< the contribution of each of the 256 bytes
};

/// The sum or difference of two tensors. One may be broadcast along rows, columns or channels.
struct IntegerSumTask {
    ConstView source, second; ///< rows, columns or channels may be 1 where the destination has more
    View destination;
    IntegerTerms source_terms, second_terms;
    bool subtracts = false;
    Requantization requantization; ///< all outputs have the same multiplier and shift

    const char *kernel_name() const { return "integer sum"; }
};

/// The product of two tensors. One may be broadcast along rows, columns or channels.
struct IntegerProductTask {
    ConstView source, second; ///< rows, columns or channels may be 1 where the destination has more
    View destination;
    std::int32_t source_zero = 0, second_zero = 0;
    Requantization requantization; ///< all outputs have the same multiplier and shift

    const char *kernel_name() const { return "integer product"; }
};

/// Products of matrices. Each row of pixels is a matrix [pixels][channels], and either factor may be
/// transposed.
struct IntegerMatrixProductTask {
    ConstView source, second;
    View destination;
    bool transpose_source = false, transpose_second = false;
    std::int32_t source_zero = 0, second_zero = 0;
    Requantization requantization; ///< all outputs have the same multiplier and shift

    const char *kernel_name() const { return "integer matrix product"; }
};

/// The largest integer of the source's pixels in each window.
struct IntegerMaximumTask {
    ConstView source;
    View destination;
    WindowAxis vertical, horizontal;
    std::int32_t low = 0, high = 255;

    const char *kernel_name() const { return "integer maximum"; }
};

/// Nearest resize, with the sampling positions of TensorFlow Lite's reference kernels.
struct IntegerNearestTask {
    ConstView source;
    View destination;
    bool corners = false, half_pixels = false;

    const char *kernel_name() const { return "integer nearest"; }
};

/// Copies the source and adds a border of one integer. Negative amounts crop.
struct IntegerBorderTask {
    ConstView source;
    View destination;
    std::int64_t top = 0, left = 0, front = 0;
    std::uint8_t value = 0;

    const char *kernel_name() const { return "integer border"; }
};

/// The mean or sum of the source along the axes in which the destination has extent 1.
struct IntegerMeanTask {
    ConstView source;
    View destination;
    std::int32_t source_zero = 0;
    std::int32_t multiplier = 0, shift = 0;           ///< the factor of sums: m * 2^(shift - 31)
    std::int32_t zero_point = 0, low = 0, high = 255; ///< see Requantization

    const char *kernel_name() const { return "integer mean"; }
};

/// Replaces each integer by an entry of a table, for example to change scale and zero point, or for a
/// function.
struct IntegerTableTask {
    ConstView source;
    View destination;
    const std::uint8_t *table = nullptr; ///< one entry for each of the 256 integers; null: identity

    const char *kernel_name() const { return "integer table"; }
};

/// Bilinear resize as in TensorFlow Lite's reference kernels. uint8 tensors are computed in float32. For int8
/// tensors, positions and weights have 10 bits after the binary point.
struct IntegerResizeTask {
    ConstView source;
    View destination;
    bool corners = false, half_pixels = false;
    bool is_signed = false; ///< true for int8

    const char *kernel_name() const { return "integer resize"; }
};

/// Softmax over the channels. The result counts steps of 1/256, so the integer 256 would mean 1.
struct IntegerSoftmaxTask {
    ConstView source;
    View destination;
    /// The exponential for each distance from the maximum, 0 to 255, as a fraction of 31 bits. -1 means that
    /// it is too small to count.
    const std::int32_t *exponentials = nullptr;

    const char *kernel_name() const { return "integer softmax"; }
};

/// The logarithm of a softmax over the channels. The result counts sixteenths below the integer 255, which
/// means 0.
struct IntegerLogSoftmaxTask {
    ConstView source;
    View destination;
    const std::int32_t *exponentials = nullptr; ///< see IntegerSoftmaxTask
    /// The difference from the maximum for each distance that counts, with 26 bits after the binary point.
    const std::int32_t *differences = nullptr;
    std::int32_t multiplier = 0,
                 shift = 0; ///< the factor from a difference to a distance: m * 2^(shift - 31)

    const char *kernel_name() const { return "integer log softmax"; }
};

/// The channels of each pixel divided by the root of the sum of their squares. The result counts steps of
/// 1/128 from the integer 128, which means 0.
struct IntegerUnitNormTask {
    ConstView source;
    View destination;
    std::int32_t source_zero = 0;
    bool is_signed = false; ///< true for int8

    const char *kernel_name() const { return "integer unit norm"; }
};

/// Quantizes float32 numbers: rounds to the nearest integer, ties away from zero, and clamps. NaN becomes the
/// zero point.
struct QuantizationTask {
    ConstView source;
    View destination;
    float scale = 1.0f;
    std::int32_t zero_point = 0;

    const char *kernel_name() const { return "quantization"; }
};

/// Dequantizes integers to float32 numbers.
struct DequantizationTask {
    ConstView source;
    View destination;
    float scale = 1.0f;
    std::int32_t zero_point = 0;

    const char *kernel_name() const { return "dequantization"; }
};

} // namespace mpscnn::cpu
