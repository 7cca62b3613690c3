// clang-format off

/// Option structs of layers, the operations of docs/operations.md. Part of mpscnn.hpp, which includes this file.
///
///     x = graph.add(mpscnn::layer::Pooling{.kernel_height = 2, .kernel_width = 2}, "pool1", x);
///
/// Written by docs/generate.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "json.hpp"

namespace mpscnn {
inline namespace api {
namespace layer {

enum class ArgumentKind { max, min };
constexpr std::array<const char *, 2> names_of(ArgumentKind) { return {"max", "min"}; }

enum class PaddingPolicy { valid, same, full, explicit_ };
constexpr std::array<const char *, 4> names_of(PaddingPolicy) { return {"valid", "same", "full", "explicit"}; }

enum class BinaryKind { binary_weights, xnor, and_ };
constexpr std::array<const char *, 3> names_of(BinaryKind) { return {"binary_weights", "xnor", "and"}; }

enum class ChannelOrder { position_major, channel_major };
constexpr std::array<const char *, 2> names_of(ChannelOrder) { return {"position_major", "channel_major"}; }

enum class NeuronKind { none, relu, linear, sigmoid, hard_sigmoid, tanh, absolute, softplus, softsign, elu, prelu, relun, power, exponential, logarithm, gelu, hard_swish, swish, mish, gelu_tanh, clamp, sign, floor, ceil, round, erf };
constexpr std::array<const char *, 26> names_of(NeuronKind) { return {"none", "relu", "linear", "sigmoid", "hard_sigmoid", "tanh", "absolute", "softplus", "softsign", "elu", "prelu", "relun", "power", "exponential", "logarithm", "gelu", "hard_swish", "swish", "mish", "gelu_tanh", "clamp", "sign", "floor", "ceil", "round", "erf"}; }

enum class LayerNormalizationNorm { deviation, root_mean_square, l2_norm, l1_norm };
constexpr std::array<const char *, 4> names_of(LayerNormalizationNorm) { return {"deviation", "root_mean_square", "l2_norm", "l1_norm"}; }

enum class LayerNormalizationEpsilonRule { inside, outside, minimum };
constexpr std::array<const char *, 3> names_of(LayerNormalizationEpsilonRule) { return {"inside", "outside", "minimum"}; }

enum class Edge { zero, clamp, exclude };
constexpr std::array<const char *, 3> names_of(Edge) { return {"zero", "clamp", "exclude"}; }

enum class PaddingMode { constant, clamp, mirror, mirror_with_edge };
constexpr std::array<const char *, 4> names_of(PaddingMode) { return {"constant", "clamp", "mirror", "mirror_with_edge"}; }

enum class PoolingKind { max, average, l2_norm };
constexpr std::array<const char *, 3> names_of(PoolingKind) { return {"max", "average", "l2_norm"}; }

enum class ReductionKind { max, min, sum, mean, product, l2_norm, sum_of_squares, variance, deviation, log_sum_exp };
constexpr std::array<const char *, 10> names_of(ReductionKind) { return {"max", "min", "sum", "mean", "product", "l2_norm", "sum_of_squares", "variance", "deviation", "log_sum_exp"}; }

enum class ReductionAxis { height, width, channels };
constexpr std::array<const char *, 3> names_of(ReductionAxis) { return {"height", "width", "channels"}; }

enum class ResizeKind { nearest, bilinear, lanczos };
constexpr std::array<const char *, 3> names_of(ResizeKind) { return {"nearest", "bilinear", "lanczos"}; }

enum class ResizeAlignment { half_pixel, corners, asymmetric, pytorch_half_pixel };
constexpr std::array<const char *, 4> names_of(ResizeAlignment) { return {"half_pixel", "corners", "asymmetric", "pytorch_half_pixel"}; }

enum class ResizeRounding { by_alignment, floor, ceil, round_prefer_floor, round_prefer_ceil };
constexpr std::array<const char *, 5> names_of(ResizeRounding) { return {"by_alignment", "floor", "ceil", "round_prefer_floor", "round_prefer_ceil"}; }

enum class TransposedConvolutionPadding { valid, same, explicit_ };
constexpr std::array<const char *, 3> names_of(TransposedConvolutionPadding) { return {"valid", "same", "explicit"}; }

enum class TransposedConvolutionKernelUse { scatter, gather };
constexpr std::array<const char *, 2> names_of(TransposedConvolutionKernelUse) { return {"scatter", "gather"}; }

enum class WeightedReductionKind { sum, mean };
constexpr std::array<const char *, 2> names_of(WeightedReductionKind) { return {"sum", "mean"}; }

/// Elementwise sum of two tensors.
struct Add {
    static constexpr const char *operation = "add";
    double primary_scale = 1.0; ///< factor of the first input
    double secondary_scale = 1.0; ///< factor of the second input
    double bias = 0.0; ///< added to the result
    double minimum = -3.4028234663852886e+38; ///< lower limit of the result; the default is none: -infinity stays
    double maximum = 3.4028234663852886e+38; ///< upper limit of the result; the default is none: infinity stays
    std::int64_t primary_stride_y = 1; ///< step in rows through the first input; 0: broadcast
    std::int64_t primary_stride_x = 1; ///< step in pixels through the first input; 0: broadcast
    std::int64_t primary_stride_channels = 1; ///< 1, or 0 to read the first input's first channel for all channels
    std::int64_t secondary_stride_y = 1; ///< step in rows through the second input; 0: broadcast
    std::int64_t secondary_stride_x = 1; ///< step in pixels through the second input; 0: broadcast
    std::int64_t secondary_stride_channels = 1; ///< 1, or 0 to read the second input's first channel for all channels
    template <class Visit> void visit_fields(Visit &&visit) const { visit("primary_scale", primary_scale); visit("secondary_scale", secondary_scale); visit("bias", bias); visit("minimum", minimum); visit("maximum", maximum); visit("primary_stride_y", primary_stride_y); visit("primary_stride_x", primary_stride_x); visit("primary_stride_channels", primary_stride_channels); visit("secondary_stride_y", secondary_stride_y); visit("secondary_stride_x", secondary_stride_x); visit("secondary_stride_channels", secondary_stride_channels); }
};

/// Elementwise difference of two tensors.
struct Subtract {
    static constexpr const char *operation = "subtract";
    double primary_scale = 1.0; ///< factor of the first input
    double secondary_scale = 1.0; ///< factor of the second input
    double bias = 0.0; ///< added to the result
    double minimum = -3.4028234663852886e+38; ///< lower limit of the result; the default is none: -infinity stays
    double maximum = 3.4028234663852886e+38; ///< upper limit of the result; the default is none: infinity stays
    std::int64_t primary_stride_y = 1; ///< step in rows through the first input; 0: broadcast
    std::int64_t primary_stride_x = 1; ///< step in pixels through the first input; 0: broadcast
    std::int64_t primary_stride_channels = 1; ///< 1, or 0 to read the first input's first channel for all channels
    std::int64_t secondary_stride_y = 1; ///< step in rows through the second input; 0: broadcast
    std::int64_t secondary_stride_x = 1; ///< step in pixels through the second input; 0: broadcast
    std::int64_t secondary_stride_channels = 1; ///< 1, or 0 to read the second input's first channel for all channels
    template <class Visit> void visit_fields(Visit &&visit) const { visit("primary_scale", primary_scale); visit("secondary_scale", secondary_scale); visit("bias", bias); visit("minimum", minimum); visit("maximum", maximum); visit("primary_stride_y", primary_stride_y); visit("primary_stride_x", primary_stride_x); visit("primary_stride_channels", primary_stride_channels); visit("secondary_stride_y", secondary_stride_y); visit("secondary_stride_x", secondary_stride_x); visit("secondary_stride_channels", secondary_stride_channels); }
};

/// Elementwise product of two tensors.
struct Multiply {
    static constexpr const char *operation = "multiply";
    double primary_scale = 1.0; ///< factor of the first input
    double secondary_scale = 1.0; ///< factor of the second input
    double bias = 0.0; ///< added to the result
    double minimum = -3.4028234663852886e+38; ///< lower limit of the result; the default is none: -infinity stays
    double maximum = 3.4028234663852886e+38; ///< upper limit of the result; the default is none: infinity stays
    std::int64_t primary_stride_y = 1; ///< step in rows through the first input; 0: broadcast
    std::int64_t primary_stride_x = 1; ///< step in pixels through the first input; 0: broadcast
    std::int64_t primary_stride_channels = 1; ///< 1, or 0 to read the first input's first channel for all channels
    std::int64_t secondary_stride_y = 1; ///< step in rows through the second input; 0: broadcast
    std::int64_t secondary_stride_x = 1; ///< step in pixels through the second input; 0: broadcast
    std::int64_t secondary_stride_channels = 1; ///< 1, or 0 to read the second input's first channel for all channels
    template <class Visit> void visit_fields(Visit &&visit) const { visit("primary_scale", primary_scale); visit("secondary_scale", secondary_scale); visit("bias", bias); visit("minimum", minimum); visit("maximum", maximum); visit("primary_stride_y", primary_stride_y); visit("primary_stride_x", primary_stride_x); visit("primary_stride_channels", primary_stride_channels); visit("secondary_stride_y", secondary_stride_y); visit("secondary_stride_x", secondary_stride_x); visit("secondary_stride_channels", secondary_stride_channels); }
};

/// Elementwise quotient of two tensors.
struct Divide {
    static constexpr const char *operation = "divide";
    double primary_scale = 1.0; ///< factor of the first input
    double secondary_scale = 1.0; ///< factor of the second input
    double bias = 0.0; ///< added to the result
    double minimum = -3.4028234663852886e+38; ///< lower limit of the result; the default is none: -infinity stays
    double maximum = 3.4028234663852886e+38; ///< upper limit of the result; the default is none: infinity stays
    std::int64_t primary_stride_y = 1; ///< step in rows through the first input; 0: broadcast
    std::int64_t primary_stride_x = 1; ///< step in pixels through the first input; 0: broadcast
    std::int64_t primary_stride_channels = 1; ///< 1, or 0 to read the first input's first channel for all channels
    std::int64_t secondary_stride_y = 1; ///< step in rows through the second input; 0: broadcast
    std::int64_t secondary_stride_x = 1; ///< step in pixels through the second input; 0: broadcast
    std::int64_t secondary_stride_channels = 1; ///< 1, or 0 to read the second input's first channel for all channels
    template <class Visit> void visit_fields(Visit &&visit) const { visit("primary_scale", primary_scale); visit("secondary_scale", secondary_scale); visit("bias", bias); visit("minimum", minimum); visit("maximum", maximum); visit("primary_stride_y", primary_stride_y); visit("primary_stride_x", primary_stride_x); visit("primary_stride_channels", primary_stride_channels); visit("secondary_stride_y", secondary_stride_y); visit("secondary_stride_x", secondary_stride_x); visit("secondary_stride_channels", secondary_stride_channels); }
};

/// The larger of each two elements; NaN where either is.
struct Maximum {
    static constexpr const char *operation = "maximum";
    double primary_scale = 1.0; ///< factor of the first input
    double secondary_scale = 1.0; ///< factor of the second input
    double bias = 0.0; ///< added to the result
    double minimum = -3.4028234663852886e+38; ///< lower limit of the result; the default is none: -infinity stays
    double maximum = 3.4028234663852886e+38; ///< upper limit of the result; the default is none: infinity stays
    std::int64_t primary_stride_y = 1; ///< step in rows through the first input; 0: broadcast
    std::int64_t primary_stride_x = 1; ///< step in pixels through the first input; 0: broadcast
    std::int64_t primary_stride_channels = 1; ///< 1, or 0 to read the first input's first channel for all channels
    std::int64_t secondary_stride_y = 1; ///< step in rows through the second input; 0: broadcast
    std::int64_t secondary_stride_x = 1; ///< step in pixels through the second input; 0: broadcast
    std::int64_t secondary_stride_channels = 1; ///< 1, or 0 to read the second input's first channel for all channels
    template <class Visit> void visit_fields(Visit &&visit) const { visit("primary_scale", primary_scale); visit("secondary_scale", secondary_scale); visit("bias", bias); visit("minimum", minimum); visit("maximum", maximum); visit("primary_stride_y", primary_stride_y); visit("primary_stride_x", primary_stride_x); visit("primary_stride_channels", primary_stride_channels); visit("secondary_stride_y", secondary_stride_y); visit("secondary_stride_x", secondary_stride_x); visit("secondary_stride_channels", secondary_stride_channels); }
};

/// The smaller of each two elements; NaN where either is.
struct Minimum {
    static constexpr const char *operation = "minimum";
    double primary_scale = 1.0; ///< factor of the first input
    double secondary_scale = 1.0; ///< factor of the second input
    double bias = 0.0; ///< added to the result
    double minimum = -3.4028234663852886e+38; ///< lower limit of the result; the default is none: -infinity stays
    double maximum = 3.4028234663852886e+38; ///< upper limit of the result; the default is none: infinity stays
    std::int64_t primary_stride_y = 1; ///< step in rows through the first input; 0: broadcast
    std::int64_t primary_stride_x = 1; ///< step in pixels through the first input; 0: broadcast
    std::int64_t primary_stride_channels = 1; ///< 1, or 0 to read the first input's first channel for all channels
    std::int64_t secondary_stride_y = 1; ///< step in rows through the second input; 0: broadcast
    std::int64_t secondary_stride_x = 1; ///< step in pixels through the second input; 0: broadcast
    std::int64_t secondary_stride_channels = 1; ///< 1, or 0 to read the second input's first channel for all channels
    template <class Visit> void visit_fields(Visit &&visit) const { visit("primary_scale", primary_scale); visit("secondary_scale", secondary_scale); visit("bias", bias); visit("minimum", minimum); visit("maximum", maximum); visit("primary_stride_y", primary_stride_y); visit("primary_stride_x", primary_stride_x); visit("primary_stride_channels", primary_stride_channels); visit("secondary_stride_y", secondary_stride_y); visit("secondary_stride_x", secondary_stride_x); visit("secondary_stride_channels", secondary_stride_channels); }
};

/// The first tensor's elements to the power of the second's; NaN where either is.
struct Power {
    static constexpr const char *operation = "power";
    double primary_scale = 1.0; ///< factor of the first input
    double secondary_scale = 1.0; ///< factor of the second input
    double bias = 0.0; ///< added to the result
    double minimum = -3.4028234663852886e+38; ///< lower limit of the result; the default is none: -infinity stays
    double maximum = 3.4028234663852886e+38; ///< upper limit of the result; the default is none: infinity stays
    std::int64_t primary_stride_y = 1; ///< step in rows through the first input; 0: broadcast
    std::int64_t primary_stride_x = 1; ///< step in pixels through the first input; 0: broadcast
    std::int64_t primary_stride_channels = 1; ///< 1, or 0 to read the first input's first channel for all channels
    std::int64_t secondary_stride_y = 1; ///< step in rows through the second input; 0: broadcast
    std::int64_t secondary_stride_x = 1; ///< step in pixels through the second input; 0: broadcast
    std::int64_t secondary_stride_channels = 1; ///< 1, or 0 to read the second input's first channel for all channels
    template <class Visit> void visit_fields(Visit &&visit) const { visit("primary_scale", primary_scale); visit("secondary_scale", secondary_scale); visit("bias", bias); visit("minimum", minimum); visit("maximum", maximum); visit("primary_stride_y", primary_stride_y); visit("primary_stride_x", primary_stride_x); visit("primary_stride_channels", primary_stride_channels); visit("secondary_stride_y", secondary_stride_y); visit("secondary_stride_x", secondary_stride_x); visit("secondary_stride_channels", secondary_stride_channels); }
};

/// 1 where the first tensor is greater, else 0.
struct Greater {
    static constexpr const char *operation = "greater";
    double primary_scale = 1.0; ///< factor of the first input
    double secondary_scale = 1.0; ///< factor of the second input
    double bias = 0.0; ///< added to the result
    double minimum = -3.4028234663852886e+38; ///< lower limit of the result; the default is none: -infinity stays
    double maximum = 3.4028234663852886e+38; ///< upper limit of the result; the default is none: infinity stays
    std::int64_t primary_stride_y = 1; ///< step in rows through the first input; 0: broadcast
    std::int64_t primary_stride_x = 1; ///< step in pixels through the first input; 0: broadcast
    std::int64_t primary_stride_channels = 1; ///< 1, or 0 to read the first input's first channel for all channels
    std::int64_t secondary_stride_y = 1; ///< step in rows through the second input; 0: broadcast
    std::int64_t secondary_stride_x = 1; ///< step in pixels through the second input; 0: broadcast
    std::int64_t secondary_stride_channels = 1; ///< 1, or 0 to read the second input's first channel for all channels
    template <class Visit> void visit_fields(Visit &&visit) const { visit("primary_scale", primary_scale); visit("secondary_scale", secondary_scale); visit("bias", bias); visit("minimum", minimum); visit("maximum", maximum); visit("primary_stride_y", primary_stride_y); visit("primary_stride_x", primary_stride_x); visit("primary_stride_channels", primary_stride_channels); visit("secondary_stride_y", secondary_stride_y); visit("secondary_stride_x", secondary_stride_x); visit("secondary_stride_channels", secondary_stride_channels); }
};

/// 1 where the first tensor is greater or both are equal, else 0.
struct GreaterEqual {
    static constexpr const char *operation = "greater_equal";
    double primary_scale = 1.0; ///< factor of the first input
    double secondary_scale = 1.0; ///< factor of the second input
    double bias = 0.0; ///< added to the result
    double minimum = -3.4028234663852886e+38; ///< lower limit of the result; the default is none: -infinity stays
    double maximum = 3.4028234663852886e+38; ///< upper limit of the result; the default is none: infinity stays
    std::int64_t primary_stride_y = 1; ///< step in rows through the first input; 0: broadcast
    std::int64_t primary_stride_x = 1; ///< step in pixels through the first input; 0: broadcast
    std::int64_t primary_stride_channels = 1; ///< 1, or 0 to read the first input's first channel for all channels
    std::int64_t secondary_stride_y = 1; ///< step in rows through the second input; 0: broadcast
    std::int64_t secondary_stride_x = 1; ///< step in pixels through the second input; 0: broadcast
    std::int64_t secondary_stride_channels = 1; ///< 1, or 0 to read the second input's first channel for all channels
    template <class Visit> void visit_fields(Visit &&visit) const { visit("primary_scale", primary_scale); visit("secondary_scale", secondary_scale); visit("bias", bias); visit("minimum", minimum); visit("maximum", maximum); visit("primary_stride_y", primary_stride_y); visit("primary_stride_x", primary_stride_x); visit("primary_stride_channels", primary_stride_channels); visit("secondary_stride_y", secondary_stride_y); visit("secondary_stride_x", secondary_stride_x); visit("secondary_stride_channels", secondary_stride_channels); }
};

/// 1 where both tensors are equal, else 0.
struct Equal {
    static constexpr const char *operation = "equal";
    double primary_scale = 1.0; ///< factor of the first input
    double secondary_scale = 1.0; ///< factor of the second input
    double bias = 0.0; ///< added to the result
    double minimum = -3.4028234663852886e+38; ///< lower limit of the result; the default is none: -infinity stays
    double maximum = 3.4028234663852886e+38; ///< upper limit of the result; the default is none: infinity stays
    std::int64_t primary_stride_y = 1; ///< step in rows through the first input; 0: broadcast
    std::int64_t primary_stride_x = 1; ///< step in pixels through the first input; 0: broadcast
    std::int64_t primary_stride_channels = 1; ///< 1, or 0 to read the first input's first channel for all channels
    std::int64_t secondary_stride_y = 1; ///< step in rows through the second input; 0: broadcast
    std::int64_t secondary_stride_x = 1; ///< step in pixels through the second input; 0: broadcast
    std::int64_t secondary_stride_channels = 1; ///< 1, or 0 to read the second input's first channel for all channels
    template <class Visit> void visit_fields(Visit &&visit) const { visit("primary_scale", primary_scale); visit("secondary_scale", secondary_scale); visit("bias", bias); visit("minimum", minimum); visit("maximum", maximum); visit("primary_stride_y", primary_stride_y); visit("primary_stride_x", primary_stride_x); visit("primary_stride_channels", primary_stride_channels); visit("secondary_stride_y", secondary_stride_y); visit("secondary_stride_x", secondary_stride_x); visit("secondary_stride_channels", secondary_stride_channels); }
};

/// 1 where the tensors differ, else 0; NaN differs from everything.
struct NotEqual {
    static constexpr const char *operation = "not_equal";
    double primary_scale = 1.0; ///< factor of the first input
    double secondary_scale = 1.0; ///< factor of the second input
    double bias = 0.0; ///< added to the result
    double minimum = -3.4028234663852886e+38; ///< lower limit of the result; the default is none: -infinity stays
    double maximum = 3.4028234663852886e+38; ///< upper limit of the result; the default is none: infinity stays
    std::int64_t primary_stride_y = 1; ///< step in rows through the first input; 0: broadcast
    std::int64_t primary_stride_x = 1; ///< step in pixels through the first input; 0: broadcast
    std::int64_t primary_stride_channels = 1; ///< 1, or 0 to read the first input's first channel for all channels
    std::int64_t secondary_stride_y = 1; ///< step in rows through the second input; 0: broadcast
    std::int64_t secondary_stride_x = 1; ///< step in pixels through the second input; 0: broadcast
    std::int64_t secondary_stride_channels = 1; ///< 1, or 0 to read the second input's first channel for all channels
    template <class Visit> void visit_fields(Visit &&visit) const { visit("primary_scale", primary_scale); visit("secondary_scale", secondary_scale); visit("bias", bias); visit("minimum", minimum); visit("maximum", maximum); visit("primary_stride_y", primary_stride_y); visit("primary_stride_x", primary_stride_x); visit("primary_stride_channels", primary_stride_channels); visit("secondary_stride_y", secondary_stride_y); visit("secondary_stride_x", secondary_stride_x); visit("secondary_stride_channels", secondary_stride_channels); }
};

/// The second tensor's elements where the first's are not 0, else 0.
struct Mask {
    static constexpr const char *operation = "mask";
    double primary_scale = 1.0; ///< factor of the first input
    double secondary_scale = 1.0; ///< factor of the second input
    double bias = 0.0; ///< added to the result
    double minimum = -3.4028234663852886e+38; ///< lower limit of the result; the default is none: -infinity stays
    double maximum = 3.4028234663852886e+38; ///< upper limit of the result; the default is none: infinity stays
    std::int64_t primary_stride_y = 1; ///< step in rows through the first input; 0: broadcast
    std::int64_t primary_stride_x = 1; ///< step in pixels through the first input; 0: broadcast
    std::int64_t primary_stride_channels = 1; ///< 1, or 0 to read the first input's first channel for all channels
    std::int64_t secondary_stride_y = 1; ///< step in rows through the second input; 0: broadcast
    std::int64_t secondary_stride_x = 1; ///< step in pixels through the second input; 0: broadcast
    std::int64_t secondary_stride_channels = 1; ///< 1, or 0 to read the second input's first channel for all channels
    template <class Visit> void visit_fields(Visit &&visit) const { visit("primary_scale", primary_scale); visit("secondary_scale", secondary_scale); visit("bias", bias); visit("minimum", minimum); visit("maximum", maximum); visit("primary_stride_y", primary_stride_y); visit("primary_stride_x", primary_stride_x); visit("primary_stride_channels", primary_stride_channels); visit("secondary_stride_y", secondary_stride_y); visit("secondary_stride_x", secondary_stride_x); visit("secondary_stride_channels", secondary_stride_channels); }
};

/// The second tensor's elements where the first's are 0, else 0.
struct MaskOut {
    static constexpr const char *operation = "mask_out";
    double primary_scale = 1.0; ///< factor of the first input
    double secondary_scale = 1.0; ///< factor of the second input
    double bias = 0.0; ///< added to the result
    double minimum = -3.4028234663852886e+38; ///< lower limit of the result; the default is none: -infinity stays
    double maximum = 3.4028234663852886e+38; ///< upper limit of the result; the default is none: infinity stays
    std::int64_t primary_stride_y = 1; ///< step in rows through the first input; 0: broadcast
    std::int64_t primary_stride_x = 1; ///< step in pixels through the first input; 0: broadcast
    std::int64_t primary_stride_channels = 1; ///< 1, or 0 to read the first input's first channel for all channels
    std::int64_t secondary_stride_y = 1; ///< step in rows through the second input; 0: broadcast
    std::int64_t secondary_stride_x = 1; ///< step in pixels through the second input; 0: broadcast
    std::int64_t secondary_stride_channels = 1; ///< 1, or 0 to read the second input's first channel for all channels
    template <class Visit> void visit_fields(Visit &&visit) const { visit("primary_scale", primary_scale); visit("secondary_scale", secondary_scale); visit("bias", bias); visit("minimum", minimum); visit("maximum", maximum); visit("primary_stride_y", primary_stride_y); visit("primary_stride_x", primary_stride_x); visit("primary_stride_channels", primary_stride_channels); visit("secondary_stride_y", secondary_stride_y); visit("secondary_stride_x", secondary_stride_x); visit("secondary_stride_channels", secondary_stride_channels); }
};

/// The index of the channel with the maximum or minimum.
struct Argument {
    static constexpr const char *operation = "argument";
    ArgumentKind kind = ArgumentKind::max; ///< max or min
    template <class Visit> void visit_fields(Visit &&visit) const { visit("kind", kind); }
};

/// Batch normalization with statistics that are weights or the second input.
struct BatchNormalization {
    static constexpr const char *operation = "batch_normalization";
    double epsilon = 0.0010000000474974513; ///< added to the variance, above zero
    bool fixed = false; ///< parameters and statistics are constants that training does not change
    template <class Visit> void visit_fields(Visit &&visit) const { visit("epsilon", epsilon); visit("fixed", fixed); }
};

/// Mean and variance of each channel over all images of the batch.
struct BatchStatistics {
    static constexpr const char *operation = "batch_statistics";
    template <class Visit> void visit_fields([[maybe_unused]] Visit &&visit) const {}
};

/// 2-D convolution with weights, and mostly inputs, of one bit.
struct BinaryConvolution {
    static constexpr const char *operation = "binary_convolution";
    std::int64_t output_channels = 0; ///< feature channels of the result
    std::int64_t kernel_height = 1; ///< taps, vertically
    std::int64_t kernel_width = 1; ///< taps, horizontally
    std::int64_t stride_y = 1; ///< input rows between output rows
    std::int64_t stride_x = 1; ///< input columns between output columns
    std::int64_t dilation_y = 1; ///< input rows between taps
    std::int64_t dilation_x = 1; ///< input columns between taps
    PaddingPolicy padding = PaddingPolicy::valid; ///< valid, same (TensorFlow's), full, or explicit (pad_*)
    std::int64_t pad_top = 0; ///< rows above the image, explicit padding only; negative: left unread
    std::int64_t pad_bottom = 0; ///< rows below the image, explicit padding only; negative: left unread
    std::int64_t pad_left = 0; ///< columns left of the image, explicit padding only; negative: left unread
    std::int64_t pad_right = 0; ///< columns right of the image, explicit padding only; negative: left unread
    bool ceil_mode = false; ///< keep a last window that overhangs the padded input (PyTorch's rule)
    BinaryKind kind = BinaryKind::xnor; ///< binary_weights (real inputs), xnor (signs of inputs) or and (bits of inputs)
    bool beta_scaling = false; ///< multiply by the mean of |x| over the window and its channels
    template <class Visit> void visit_fields(Visit &&visit) const { visit("output_channels", output_channels); visit("kernel_height", kernel_height); visit("kernel_width", kernel_width); visit("stride_y", stride_y); visit("stride_x", stride_x); visit("dilation_y", dilation_y); visit("dilation_x", dilation_x); visit("padding", padding); visit("pad_top", pad_top); visit("pad_bottom", pad_bottom); visit("pad_left", pad_left); visit("pad_right", pad_right); visit("ceil_mode", ceil_mode); visit("kind", kind); visit("beta_scaling", beta_scaling); }
};

/// Fully connected layer with weights, and mostly inputs, of one bit.
struct BinaryFullyConnected {
    static constexpr const char *operation = "binary_fully_connected";
    std::int64_t outputs = 0; ///< features of the result
    BinaryKind kind = BinaryKind::xnor; ///< binary_weights (real inputs), xnor (signs of inputs) or and (bits of inputs)
    bool beta_scaling = false; ///< multiply by the mean of |x| over all inputs
    template <class Visit> void visit_fields(Visit &&visit) const { visit("outputs", outputs); visit("kind", kind); visit("beta_scaling", beta_scaling); }
};

/// Interleaves groups of feature channels.
struct ChannelShuffle {
    static constexpr const char *operation = "channel_shuffle";
    std::int64_t groups = 1; ///< groups of consecutive channels, a divisor of the channels
    template <class Visit> void visit_fields(Visit &&visit) const { visit("groups", groups); }
};

/// Joins tensors along an axis.
struct Concatenation {
    static constexpr const char *operation = "concatenation";
    std::int64_t axis = -1; ///< axis to join along, negative from the end; not the batch
    template <class Visit> void visit_fields(Visit &&visit) const { visit("axis", axis); }
};

/// A weight as a tensor, the same for each image of the input.
struct Constant {
    static constexpr const char *operation = "constant";
    std::vector<std::int64_t> shape{}; ///< extents of the value, without the batch
    template <class Visit> void visit_fields(Visit &&visit) const { visit("shape", shape); }
};

/// 2-D convolution, grouped, depthwise or dilated.
struct Convolution {
    static constexpr const char *operation = "convolution";
    std::int64_t output_channels = 0; ///< feature channels of the result
    std::int64_t kernel_height = 1; ///< taps, vertically
    std::int64_t kernel_width = 1; ///< taps, horizontally
    std::int64_t stride_y = 1; ///< input rows between output rows
    std::int64_t stride_x = 1; ///< input columns between output columns
    std::int64_t dilation_y = 1; ///< input rows between taps
    std::int64_t dilation_x = 1; ///< input columns between taps
    PaddingPolicy padding = PaddingPolicy::valid; ///< valid, same (TensorFlow's), full, or explicit (pad_*)
    std::int64_t pad_top = 0; ///< rows above the image, explicit padding only; negative: left unread
    std::int64_t pad_bottom = 0; ///< rows below the image, explicit padding only; negative: left unread
    std::int64_t pad_left = 0; ///< columns left of the image, explicit padding only; negative: left unread
    std::int64_t pad_right = 0; ///< columns right of the image, explicit padding only; negative: left unread
    bool ceil_mode = false; ///< keep a last window that overhangs the padded input (PyTorch's rule)
    std::int64_t groups = 1; ///< input and output channels are split into this many independent groups
    bool rounds_once = false; ///< in int8 precision: sums are scaled as in a dense layer, whose products are rounded once
    template <class Visit> void visit_fields(Visit &&visit) const { visit("output_channels", output_channels); visit("kernel_height", kernel_height); visit("kernel_width", kernel_width); visit("stride_y", stride_y); visit("stride_x", stride_x); visit("dilation_y", dilation_y); visit("dilation_x", dilation_x); visit("padding", padding); visit("pad_top", pad_top); visit("pad_bottom", pad_bottom); visit("pad_left", pad_left); visit("pad_right", pad_right); visit("ceil_mode", ceil_mode); visit("groups", groups); visit("rounds_once", rounds_once); }
};

/// Local response normalization across neighbouring channels.
struct CrossChannelNormalization {
    static constexpr const char *operation = "cross_channel_normalization";
    std::int64_t kernel_size = 5; ///< channels of a window, and the divisor of its sum everywhere
    double alpha = 1.0; ///< factor of the mean square, at least 0
    double beta = 5.0; ///< exponent
    double delta = 1.0; ///< added to the scaled mean square, at least 0
    template <class Visit> void visit_fields(Visit &&visit) const { visit("kernel_size", kernel_size); visit("alpha", alpha); visit("beta", beta); visit("delta", delta); }
};

/// Rearranges channels into blocks of pixels.
struct DepthToSpace {
    static constexpr const char *operation = "depth_to_space";
    std::int64_t scale = 1; ///< rows and columns of a block
    ChannelOrder order = ChannelOrder::position_major; ///< position_major (TensorFlow, ONNX DCR) or channel_major (PyTorch, ONNX CRD)
    template <class Visit> void visit_fields(Visit &&visit) const { visit("scale", scale); visit("order", order); }
};

/// Sets random elements to zero; outside of training the identity.
struct Dropout {
    static constexpr const char *operation = "dropout";
    double keep_probability = 0.5; ///< share of the elements that are kept, above 0, at most 1
    std::int64_t seed = 0; ///< key of the random numbers: the same seed, the same mask
    std::int64_t mask_stride_y = 1; ///< 1: every row has its own mask, 0: all rows share one
    std::int64_t mask_stride_x = 1; ///< 1: every pixel of a row has its own mask, 0: all share one
    std::int64_t mask_stride_channels = 1; ///< 1: every channel has its own mask, 0: all share one
    bool training = false; ///< true: drop elements; false: return the input
    template <class Visit> void visit_fields(Visit &&visit) const { visit("keep_probability", keep_probability); visit("seed", seed); visit("mask_stride_y", mask_stride_y); visit("mask_stride_x", mask_stride_x); visit("mask_stride_channels", mask_stride_channels); visit("training", training); }
};

/// Dense layer: weighted sums of all inputs.
struct FullyConnected {
    static constexpr const char *operation = "fully_connected";
    std::int64_t outputs = 0; ///< number of results
    template <class Visit> void visit_fields(Visit &&visit) const { visit("outputs", outputs); }
};

/// Rows, columns or channels at given positions.
struct Gather {
    static constexpr const char *operation = "gather";
    std::int64_t axis = -1; ///< axis other than the batch; negative from the end
    std::vector<std::int64_t> indices{}; ///< positions along it, counted from 0
    template <class Visit> void visit_fields(Visit &&visit) const { visit("axis", axis); visit("indices", indices); }
};

/// Normalization by the mean and variance of each image's groups of channels.
struct GroupNormalization {
    static constexpr const char *operation = "group_normalization";
    std::int64_t groups = 1; ///< groups of consecutive channels, a divisor of the channels
    double epsilon = 9.999999747378752e-06; ///< added to the variance, above zero
    template <class Visit> void visit_fields(Visit &&visit) const { visit("groups", groups); visit("epsilon", epsilon); }
};

/// Gated recurrent unit: the hidden state of each step.
struct Gru {
    static constexpr const char *operation = "gru";
    bool reverse = false; ///< whether the last step comes first
    bool reset_after = true; ///< whether r multiplies the product of the state and its bias
    NeuronKind gate = NeuronKind::sigmoid; ///< function of the gates z and r (docs/ops/neuron.md)
    double gate_a = 0.0; ///< its parameter a
    double gate_b = 0.0; ///< its parameter b
    NeuronKind candidate = NeuronKind::tanh; ///< function of the candidate
    double candidate_a = 1.0; ///< its parameter a
    double candidate_b = 1.0; ///< its parameter b
    template <class Visit> void visit_fields(Visit &&visit) const { visit("reverse", reverse); visit("reset_after", reset_after); visit("gate", gate); visit("gate_a", gate_a); visit("gate_b", gate_b); visit("candidate", candidate); visit("candidate_a", candidate_a); visit("candidate_b", candidate_b); }
};

/// Normalization of each pixel's channels by their deviation or a norm.
struct LayerNormalization {
    static constexpr const char *operation = "layer_normalization";
    double epsilon = 9.999999747378752e-06; ///< keeps the norm away from 0, as epsilon_rule says; above zero inside a deviation
    LayerNormalizationNorm norm = LayerNormalizationNorm::deviation; ///< deviation, after the mean was subtracted; root_mean_square, l2_norm or l1_norm, the sum of magnitudes
    LayerNormalizationEpsilonRule epsilon_rule = LayerNormalizationEpsilonRule::inside; ///< inside: added to the variance, mean or sum; outside: added to the norm; minimum: the norm is at least epsilon
    template <class Visit> void visit_fields(Visit &&visit) const { visit("epsilon", epsilon); visit("norm", norm); visit("epsilon_rule", epsilon_rule); }
};

/// Normalization by the mean and variance of a window of each channel.
struct LocalContrastNormalization {
    static constexpr const char *operation = "local_contrast_normalization";
    std::int64_t kernel_height = 5; ///< rows of the window
    std::int64_t kernel_width = 5; ///< columns of the window
    std::int64_t offset_y = 0; ///< input row of the first result row's centre
    std::int64_t offset_x = 0; ///< input column of the first result column's centre
    std::int64_t height = 0; ///< rows of the result; 0: those of the input
    std::int64_t width = 0; ///< columns of the result; 0: those of the input
    Edge edge = Edge::zero; ///< positions outside the image read zero or clamp (the nearest pixel)
    double alpha = 1.0; ///< factor of the variance, at least 0
    double beta = 0.5; ///< exponent
    double delta = 0.0009765625; ///< added to the scaled variance, at least 0
    double p0 = 1.0; ///< factor of the mean that is subtracted
    double pm = 0.0; ///< added to the result
    double ps = 1.0; ///< factor of the result
    template <class Visit> void visit_fields(Visit &&visit) const { visit("kernel_height", kernel_height); visit("kernel_width", kernel_width); visit("offset_y", offset_y); visit("offset_x", offset_x); visit("height", height); visit("width", width); visit("edge", edge); visit("alpha", alpha); visit("beta", beta); visit("delta", delta); visit("p0", p0); visit("pm", pm); visit("ps", ps); }
};

/// Logarithm of softmax over the feature channels.
struct LogSoftmax {
    static constexpr const char *operation = "log_softmax";
    template <class Visit> void visit_fields([[maybe_unused]] Visit &&visit) const {}
};

/// Long short-term memory: the hidden state of each step, then the last cell state.
struct Lstm {
    static constexpr const char *operation = "lstm";
    bool reverse = false; ///< whether the last step comes first
    NeuronKind gate = NeuronKind::sigmoid; ///< function of the gates i, f and o (docs/ops/neuron.md)
    double gate_a = 0.0; ///< its parameter a
    double gate_b = 0.0; ///< its parameter b
    NeuronKind candidate = NeuronKind::tanh; ///< function of the candidate g
    double candidate_a = 1.0; ///< its parameter a
    double candidate_b = 1.0; ///< its parameter b
    NeuronKind output = NeuronKind::tanh; ///< function of the cell state before the gate o
    double output_a = 1.0; ///< its parameter a
    double output_b = 1.0; ///< its parameter b
    template <class Visit> void visit_fields(Visit &&visit) const { visit("reverse", reverse); visit("gate", gate); visit("gate_a", gate_a); visit("gate_b", gate_b); visit("candidate", candidate); visit("candidate_a", candidate_a); visit("candidate_b", candidate_b); visit("output", output); visit("output_a", output_a); visit("output_b", output_b); }
};

/// Products of matrices, the last two axes of two tensors.
struct MatrixProduct {
    static constexpr const char *operation = "matrix_product";
    bool transpose_first = false; ///< whether the first input's matrices are transposed
    bool transpose_second = false; ///< whether the second input's matrices are transposed
    double scale = 1.0; ///< factor of the products
    template <class Visit> void visit_fields(Visit &&visit) const { visit("transpose_first", transpose_first); visit("transpose_second", transpose_second); visit("scale", scale); }
};

/// Activation function of each element.
struct Neuron {
    static constexpr const char *operation = "neuron";
    NeuronKind kind = NeuronKind::none; ///< which function (docs/ops/neuron.md); none is x
    double a = 0.0; ///< slope for negative x (relu, relun, elu), factor (linear, hard_sigmoid, tanh, softplus, power, exponential, logarithm) or lower limit (clamp; the lowest float: none)
    double b = 0.0; ///< upper limit (relun, clamp; of clamp the largest float: none), factor of x (tanh, softplus, swish) or offset (linear, hard_sigmoid, power, exponential, logarithm)
    double c = 0.0; ///< exponent (power) or base (exponential, logarithm; -1: e)
    template <class Visit> void visit_fields(Visit &&visit) const { visit("kind", kind); visit("a", a); visit("b", b); visit("c", c); }
};

/// Border around an image: constant, clamped or mirrored.
struct Padding {
    static constexpr const char *operation = "padding";
    std::int64_t top = 0; ///< rows above, negative: cropped
    std::int64_t bottom = 0; ///< rows below, negative: cropped
    std::int64_t left = 0; ///< columns to the left, negative: cropped
    std::int64_t right = 0; ///< columns to the right, negative: cropped
    std::int64_t front = 0; ///< channels before the first, negative: cropped
    std::int64_t back = 0; ///< channels after the last, negative: cropped
    double value = 0.0; ///< value of the border in constant mode
    PaddingMode mode = PaddingMode::constant; ///< constant, clamp (nearest pixel), mirror (border pixel once), mirror_with_edge (twice)
    std::vector<double> values{}; ///< instead of value: one for each channel of the result, constant mode
    template <class Visit> void visit_fields(Visit &&visit) const { visit("top", top); visit("bottom", bottom); visit("left", left); visit("right", right); visit("front", front); visit("back", back); visit("value", value); visit("mode", mode); visit("values", values); }
};

/// Max, average or L2-norm pooling over a window or the whole image.
struct Pooling {
    static constexpr const char *operation = "pooling";
    PoolingKind kind = PoolingKind::max; ///< max, average or l2_norm (square root of the sum of squares)
    std::int64_t kernel_height = 1; ///< taps, vertically
    std::int64_t kernel_width = 1; ///< taps, horizontally
    std::int64_t stride_y = 1; ///< input rows between output rows
    std::int64_t stride_x = 1; ///< input columns between output columns
    std::int64_t dilation_y = 1; ///< input rows between taps
    std::int64_t dilation_x = 1; ///< input columns between taps
    PaddingPolicy padding = PaddingPolicy::valid; ///< valid, same (TensorFlow's), full, or explicit (pad_*)
    std::int64_t pad_top = 0; ///< rows above the image, explicit padding only; negative: left unread
    std::int64_t pad_bottom = 0; ///< rows below the image, explicit padding only; negative: left unread
    std::int64_t pad_left = 0; ///< columns left of the image, explicit padding only; negative: left unread
    std::int64_t pad_right = 0; ///< columns right of the image, explicit padding only; negative: left unread
    bool ceil_mode = false; ///< keep a last window that overhangs the padded input (PyTorch's rule)
    bool count_padding = false; ///< average: zero padding counts in the divisor (a ceil_mode overhang never does)
    bool global = false; ///< the window is the whole image, the result 1 x 1
    Edge edge = Edge::exclude; ///< taps outside the image: exclude (they do not count, as in frameworks), zero, or clamp (Apple's)
    std::int64_t zero_pad_y = 0; ///< average: zeros above and below the image that count in the divisor, whatever the padding is
    std::int64_t zero_pad_x = 0; ///< average: zeros left and right of the image that count in the divisor, whatever the padding is
    template <class Visit> void visit_fields(Visit &&visit) const { visit("kind", kind); visit("kernel_height", kernel_height); visit("kernel_width", kernel_width); visit("stride_y", stride_y); visit("stride_x", stride_x); visit("dilation_y", dilation_y); visit("dilation_x", dilation_x); visit("padding", padding); visit("pad_top", pad_top); visit("pad_bottom", pad_bottom); visit("pad_left", pad_left); visit("pad_right", pad_right); visit("ceil_mode", ceil_mode); visit("count_padding", count_padding); visit("global", global); visit("edge", edge); visit("zero_pad_y", zero_pad_y); visit("zero_pad_x", zero_pad_x); }
};

/// One number along one axis: maximum, sum, mean, norm, variance and others.
struct Reduction {
    static constexpr const char *operation = "reduction";
    ReductionKind kind = ReductionKind::max; ///< max, min, sum, mean, product; l2_norm, the square root of the sum of squares; sum_of_squares; variance, biased unless weight says otherwise; deviation, its square root; log_sum_exp, the logarithm of the sum of exponentials
    ReductionAxis axis = ReductionAxis::channels; ///< channels, the last axis; width, the one before; height, the one before that
    double weight = 1.0; ///< sum: factor of every element; variance and deviation: factor of the variance
    template <class Visit> void visit_fields(Visit &&visit) const { visit("kind", kind); visit("axis", axis); visit("weight", weight); }
};

/// Same elements in the same order, other extents.
struct Reshape {
    static constexpr const char *operation = "reshape";
    std::vector<std::int64_t> shape{}; ///< extents without the batch; 0: the input's on the same axis, which may be free; one may be -1: the remaining elements
    template <class Visit> void visit_fields(Visit &&visit) const { visit("shape", shape); }
};

/// Nearest, bilinear or Lanczos resize of an image.
struct Resize {
    static constexpr const char *operation = "resize";
    ResizeKind kind = ResizeKind::bilinear; ///< nearest, bilinear or lanczos
    ResizeAlignment alignment = ResizeAlignment::half_pixel; ///< half_pixel, corners, asymmetric or pytorch_half_pixel (docs/ops/resize.md)
    std::int64_t height = 0; ///< rows of the result; 0: input rows * scale_y, rounded down
    std::int64_t width = 0; ///< columns of the result; 0: input columns * scale_x, rounded down
    double scale_y = 1.0; ///< vertical factor where height is 0
    double scale_x = 1.0; ///< horizontal factor where width is 0
    double magnification_y = 0.0; ///< output rows for each input row; 0: scale_y, or output rows / input rows where height is given
    double magnification_x = 0.0; ///< output columns for each input column; 0: scale_x, or the quotient where width is given
    double offset_y = 0.0; ///< input rows added to every sampling position
    double offset_x = 0.0; ///< input columns added to every sampling position
    Edge edge = Edge::clamp; ///< samples outside the image read clamp (the nearest pixel) or zero
    ResizeRounding rounding = ResizeRounding::by_alignment; ///< nearest: which pixel is taken for a position between two
    template <class Visit> void visit_fields(Visit &&visit) const { visit("kind", kind); visit("alignment", alignment); visit("height", height); visit("width", width); visit("scale_y", scale_y); visit("scale_x", scale_x); visit("magnification_y", magnification_y); visit("magnification_x", magnification_x); visit("offset_y", offset_y); visit("offset_x", offset_x); visit("edge", edge); visit("rounding", rounding); }
};

/// Rows, columns and channels of an image.
struct Slice {
    static constexpr const char *operation = "slice";
    std::int64_t top = 0; ///< first row, negative from the end
    std::int64_t left = 0; ///< first column, negative from the end
    std::int64_t front = 0; ///< first channel, negative from the end
    std::int64_t height = 0; ///< rows of the result; 0: all that remain
    std::int64_t width = 0; ///< columns of the result; 0: all that remain
    std::int64_t channels = 0; ///< channels of the result; 0: all that remain
    std::int64_t stride_y = 1; ///< from one row of the result to the next in the input; negative: backward
    std::int64_t stride_x = 1; ///< from one column of the result to the next in the input; negative: backward
    std::int64_t stride_channels = 1; ///< from one channel of the result to the next in the input; negative: backward
    template <class Visit> void visit_fields(Visit &&visit) const { visit("top", top); visit("left", left); visit("front", front); visit("height", height); visit("width", width); visit("channels", channels); visit("stride_y", stride_y); visit("stride_x", stride_x); visit("stride_channels", stride_channels); }
};

/// Softmax over the feature channels.
struct Softmax {
    static constexpr const char *operation = "softmax";
    template <class Visit> void visit_fields([[maybe_unused]] Visit &&visit) const {}
};

/// Normalization by the mean square of a window of each channel.
struct SpatialNormalization {
    static constexpr const char *operation = "spatial_normalization";
    std::int64_t kernel_height = 5; ///< rows of the window
    std::int64_t kernel_width = 5; ///< columns of the window
    std::int64_t offset_y = 0; ///< input row of the first result row's centre
    std::int64_t offset_x = 0; ///< input column of the first result column's centre
    std::int64_t height = 0; ///< rows of the result; 0: those of the input
    std::int64_t width = 0; ///< columns of the result; 0: those of the input
    Edge edge = Edge::zero; ///< positions outside the image read zero or clamp (the nearest pixel)
    double alpha = 1.0; ///< factor of the mean square, at least 0
    double beta = 5.0; ///< exponent
    double delta = 1.0; ///< added to the scaled mean square, at least 0
    template <class Visit> void visit_fields(Visit &&visit) const { visit("kernel_height", kernel_height); visit("kernel_width", kernel_width); visit("offset_y", offset_y); visit("offset_x", offset_x); visit("height", height); visit("width", width); visit("edge", edge); visit("alpha", alpha); visit("beta", beta); visit("delta", delta); }
};

/// 2-D convolution whose channels become blocks of pixels.
struct SubpixelConvolution {
    static constexpr const char *operation = "subpixel_convolution";
    std::int64_t output_channels = 0; ///< feature channels of the result
    std::int64_t scale = 1; ///< rows and columns of the result for one output pixel of the convolution
    ChannelOrder order = ChannelOrder::position_major; ///< order of the convolution's channels: position_major (Apple) or channel_major (PyTorch)
    std::int64_t kernel_height = 1; ///< taps, vertically
    std::int64_t kernel_width = 1; ///< taps, horizontally
    std::int64_t stride_y = 1; ///< input rows between output rows
    std::int64_t stride_x = 1; ///< input columns between output columns
    std::int64_t dilation_y = 1; ///< input rows between taps
    std::int64_t dilation_x = 1; ///< input columns between taps
    PaddingPolicy padding = PaddingPolicy::valid; ///< valid, same (TensorFlow's), full, or explicit (pad_*)
    std::int64_t pad_top = 0; ///< rows above the image, explicit padding only; negative: left unread
    std::int64_t pad_bottom = 0; ///< rows below the image, explicit padding only; negative: left unread
    std::int64_t pad_left = 0; ///< columns left of the image, explicit padding only; negative: left unread
    std::int64_t pad_right = 0; ///< columns right of the image, explicit padding only; negative: left unread
    bool ceil_mode = false; ///< keep a last window that overhangs the padded input (PyTorch's rule)
    std::int64_t groups = 1; ///< input channels and the convolution's channels are split into this many groups
    std::int64_t output_height = 0; ///< rows of the result, at most scale - 1 less than all; 0: all
    std::int64_t output_width = 0; ///< columns of the result, at most scale - 1 less than all; 0: all
    template <class Visit> void visit_fields(Visit &&visit) const { visit("output_channels", output_channels); visit("scale", scale); visit("order", order); visit("kernel_height", kernel_height); visit("kernel_width", kernel_width); visit("stride_y", stride_y); visit("stride_x", stride_x); visit("dilation_y", dilation_y); visit("dilation_x", dilation_x); visit("padding", padding); visit("pad_top", pad_top); visit("pad_bottom", pad_bottom); visit("pad_left", pad_left); visit("pad_right", pad_right); visit("ceil_mode", ceil_mode); visit("groups", groups); visit("output_height", output_height); visit("output_width", output_width); }
};

/// Elements along an axis by computed indices.
struct TakeAlongAxis {
    static constexpr const char *operation = "take_along_axis";
    std::int64_t axis = -1; ///< axis other than the batch; negative from the end
    template <class Visit> void visit_fields(Visit &&visit) const { visit("axis", axis); }
};

/// A tensor repeated along rows, columns and channels.
struct Tile {
    static constexpr const char *operation = "tile";
    std::int64_t rows = 1; ///< repetitions along the third axis from the end
    std::int64_t columns = 1; ///< repetitions along the second axis from the end
    std::int64_t channels = 1; ///< repetitions along the last axis
    template <class Visit> void visit_fields(Visit &&visit) const { visit("rows", rows); visit("columns", columns); visit("channels", channels); }
};

/// The indices of the channels with the largest or smallest elements.
struct TopK {
    static constexpr const char *operation = "top_k";
    ArgumentKind kind = ArgumentKind::max; ///< max or min
    std::int64_t count = 1; ///< number of channels that are found
    template <class Visit> void visit_fields(Visit &&visit) const { visit("kind", kind); visit("count", count); }
};

/// The axes after the batch in another order.
struct Transpose {
    static constexpr const char *operation = "transpose";
    std::vector<std::int64_t> axes{}; ///< for each axis of the result after the batch: the axis of the input, where the batch is 0
    template <class Visit> void visit_fields(Visit &&visit) const { visit("axes", axes); }
};

/// 2-D transposed convolution, grouped, strided or dilated.
struct TransposedConvolution {
    static constexpr const char *operation = "transposed_convolution";
    std::int64_t output_channels = 0; ///< feature channels of the result
    std::int64_t kernel_height = 1; ///< taps, vertically
    std::int64_t kernel_width = 1; ///< taps, horizontally
    std::int64_t stride_y = 1; ///< output rows between input rows
    std::int64_t stride_x = 1; ///< output columns between input columns
    std::int64_t dilation_y = 1; ///< output rows between taps
    std::int64_t dilation_x = 1; ///< output columns between taps
    TransposedConvolutionPadding padding = TransposedConvolutionPadding::valid; ///< valid or same (TensorFlow's), or explicit (pad_*)
    std::int64_t pad_top = 0; ///< rows taken off the result's top, explicit padding only; negative: added
    std::int64_t pad_bottom = 0; ///< rows taken off the bottom, explicit padding only; negative: added
    std::int64_t pad_left = 0; ///< columns taken off the left, explicit padding only; negative: added
    std::int64_t pad_right = 0; ///< columns taken off the right, explicit padding only; negative: added
    std::int64_t output_padding_y = 0; ///< rows added at the bottom (PyTorch), explicit padding only
    std::int64_t output_padding_x = 0; ///< columns added at the right (PyTorch), explicit padding only
    std::int64_t output_height = 0; ///< rows of the result; 0: by the rule of the padding
    std::int64_t output_width = 0; ///< columns of the result; 0: by the rule of the padding
    std::int64_t groups = 1; ///< input and output channels are split into this many independent groups
    TransposedConvolutionKernelUse kernel_use = TransposedConvolutionKernelUse::scatter; ///< scatter (TensorFlow, PyTorch), or gather: rotated by 180 degrees against it (Apple)
    template <class Visit> void visit_fields(Visit &&visit) const { visit("output_channels", output_channels); visit("kernel_height", kernel_height); visit("kernel_width", kernel_width); visit("stride_y", stride_y); visit("stride_x", stride_x); visit("dilation_y", dilation_y); visit("dilation_x", dilation_x); visit("padding", padding); visit("pad_top", pad_top); visit("pad_bottom", pad_bottom); visit("pad_left", pad_left); visit("pad_right", pad_right); visit("output_padding_y", output_padding_y); visit("output_padding_x", output_padding_x); visit("output_height", output_height); visit("output_width", output_width); visit("groups", groups); visit("kernel_use", kernel_use); }
};

/// Weighted sum or mean over the feature channels.
struct WeightedReduction {
    static constexpr const char *operation = "weighted_reduction";
    WeightedReductionKind kind = WeightedReductionKind::sum; ///< sum, or mean: divided by the number of weights that are not zero
    template <class Visit> void visit_fields(Visit &&visit) const { visit("kind", kind); }
};

} // namespace layer
} // namespace api
} // namespace mpscnn
