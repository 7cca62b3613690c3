// clang-format off

/// Properties of raw kernels as structs, one for each of Apple's classes. Part of mpscnn.hpp, which includes this file.
///
///     mpscnn::Kernel pool(mpscnn::kernel::PoolingMax{.kernel_width = 2, .kernel_height = 2});
///
/// Written by docs/generate.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "json.hpp"
#include "layer.hpp"

namespace mpscnn {
inline namespace api {
namespace kernel {

enum class EdgeMode { zero, clamp, mirror, mirror_with_edge, constant };
constexpr std::array<const char *, 5> names_of(EdgeMode) { return {"zero", "clamp", "mirror", "mirror_with_edge", "constant"}; }

enum class BinaryKind { binary_weights, xnor, and_ };
constexpr std::array<const char *, 3> names_of(BinaryKind) { return {"binary_weights", "xnor", "and"}; }

enum class ComparisonType { equal, not_equal, less, less_or_equal, greater, greater_or_equal };
constexpr std::array<const char *, 6> names_of(ComparisonType) { return {"equal", "not_equal", "less", "less_or_equal", "greater", "greater_or_equal"}; }

enum class ForwardLossLossType { mean_absolute_error, mean_squared_error, softmax_cross_entropy, sigmoid_cross_entropy, categorical_cross_entropy, hinge, huber, cosine_distance, log, kullback_leibler };
constexpr std::array<const char *, 10> names_of(ForwardLossLossType) { return {"mean_absolute_error", "mean_squared_error", "softmax_cross_entropy", "sigmoid_cross_entropy", "categorical_cross_entropy", "hinge", "huber", "cosine_distance", "log", "kullback_leibler"}; }

enum class ForwardLossReductionType { none, sum, mean, sum_by_nonzero_weights };
constexpr std::array<const char *, 4> names_of(ForwardLossReductionType) { return {"none", "sum", "mean", "sum_by_nonzero_weights"}; }

enum class AlphaType { non_premultiplied, alpha_is_one, premultiplied };
constexpr std::array<const char *, 3> names_of(AlphaType) { return {"non_premultiplied", "alpha_is_one", "premultiplied"}; }

enum class ColorSpace { none, srgb, linear_srgb, gray_gamma_2_2, linear_gray };
constexpr std::array<const char *, 5> names_of(ColorSpace) { return {"none", "srgb", "linear_srgb", "gray_gamma_2_2", "linear_gray"}; }

enum class OptimizerAdamResult { values, momentum, velocity, maximum_velocity };
constexpr std::array<const char *, 4> names_of(OptimizerAdamResult) { return {"values", "momentum", "velocity", "maximum_velocity"}; }

enum class OptimizerAdamRegularizationType { none, l1, l2 };
constexpr std::array<const char *, 3> names_of(OptimizerAdamRegularizationType) { return {"none", "l1", "l2"}; }

enum class YOLOLossResult { gradient, loss };
constexpr std::array<const char *, 2> names_of(YOLOLossResult) { return {"gradient", "loss"}; }

/// The options of MPSNNNeuronDescriptor: a function of mpscnn::layer::Neuron, whose parameters
/// docs/ops/neuron.md explains.
struct NeuronDescriptor {
    layer::NeuronKind neuron_type = layer::NeuronKind::none;
    double a = 0.0, b = 0.0, c = 0.0;
    template <class Visit> void visit_fields(Visit &&visit) const {
        visit("neuron_type", neuron_type); visit("a", a); visit("b", b); visit("c", c);
    }
};

/// The options of MPSCNNAdd, MPSCNNDivide, MPSCNNMultiply, MPSCNNSubtract.
template <detail::ClassName Name> struct AddOptions {
    static constexpr const char *kernel_class = Name.text;
    double primary_scale = 1.0; ///< factor of the primary source
    double secondary_scale = 1.0; ///< factor of the secondary source
    double bias = 0.0; ///< added to the result
    double minimum_value = -3.4028234663852886e+38; ///< lower limit of the result; none unless given
    double maximum_value = 3.4028234663852886e+38; ///< upper limit of the result; none unless given
    std::int64_t primary_stride_x = 1; ///< step in columns through the primary source; 0: one column for all
    std::int64_t primary_stride_y = 1; ///< step in rows through the primary source; 0: one row for all
    std::int64_t primary_stride_in_feature_channels = 1; ///< 1, or 0: one channel of the primary source for all
    std::int64_t secondary_stride_x = 1; ///< step in columns through the secondary source; 0: one column for all
    std::int64_t secondary_stride_y = 1; ///< step in rows through the secondary source; 0: one row for all
    std::int64_t secondary_stride_in_feature_channels = 1; ///< 1, or 0: one channel of the secondary source for all
    std::string label{}; ///< a name for messages
    std::array<std::int64_t, 3> primary_offset{0, 0, 0}; ///< (x, y, z): position in the primary source of the first pixel written
    EdgeMode primary_edge_mode = EdgeMode::zero; ///< value of reads outside the primary source: 'zero' or 'clamp'
    std::int64_t primary_source_feature_channel_offset = 0; ///< first feature channel read of the primary source, a multiple of 4
    std::int64_t primary_source_feature_channel_max_count = INT64_MAX; ///< maximum number of feature channels read of the primary source
    std::array<std::int64_t, 3> secondary_offset{0, 0, 0}; ///< (x, y, z): position in the secondary source of the first pixel written
    EdgeMode secondary_edge_mode = EdgeMode::zero; ///< value of reads outside the secondary source: 'zero' or 'clamp'
    std::int64_t secondary_source_feature_channel_offset = 0; ///< first feature channel read of the secondary source, a multiple of 4
    std::int64_t secondary_source_feature_channel_max_count = INT64_MAX; ///< maximum number of feature channels read of the secondary source
    std::optional<std::array<std::int64_t, 6>> clip_rect{}; ///< (x, y, z, width, height, depth): part of the destination that may be written; empty: all of it
    std::int64_t destination_feature_channel_offset = 0; ///< first feature channel written, a multiple of 4
    std::int64_t padding = 16; ///< size and place of results that the kernel makes itself (MPSNNPaddingMethod)
    template <class Visit> void visit_fields(Visit &&visit) const { visit("primary_scale", primary_scale); visit("secondary_scale", secondary_scale); visit("bias", bias); visit("minimum_value", minimum_value); visit("maximum_value", maximum_value); visit("primary_stride_x", primary_stride_x); visit("primary_stride_y", primary_stride_y); visit("primary_stride_in_feature_channels", primary_stride_in_feature_channels); visit("secondary_stride_x", secondary_stride_x); visit("secondary_stride_y", secondary_stride_y); visit("secondary_stride_in_feature_channels", secondary_stride_in_feature_channels); visit("label", label); visit("primary_offset", primary_offset); visit("primary_edge_mode", primary_edge_mode); visit("primary_source_feature_channel_offset", primary_source_feature_channel_offset); visit("primary_source_feature_channel_max_count", primary_source_feature_channel_max_count); visit("secondary_offset", secondary_offset); visit("secondary_edge_mode", secondary_edge_mode); visit("secondary_source_feature_channel_offset", secondary_source_feature_channel_offset); visit("secondary_source_feature_channel_max_count", secondary_source_feature_channel_max_count); visit("clip_rect", clip_rect); visit("destination_feature_channel_offset", destination_feature_channel_offset); visit("padding", padding); }
};
using Add = AddOptions<"Add">; ///< x + y.
using Divide = AddOptions<"Divide">; ///< x / y.
using Multiply = AddOptions<"Multiply">; ///< x * y.
using Subtract = AddOptions<"Subtract">; ///< x - y.

/// The options of MPSCNNAddGradient, MPSCNNMultiplyGradient, MPSCNNSubtractGradient.
template <detail::ClassName Name> struct AddGradientOptions {
    static constexpr const char *kernel_class = Name.text;
    bool is_secondary_source_filter = false; ///< whether the gradient is that of the secondary source
    double primary_scale = 1.0; ///< factor of the primary source
    double secondary_scale = 1.0; ///< factor of the secondary source
    double bias = 0.0; ///< added to the result
    double minimum_value = -3.4028234663852886e+38; ///< lower limit of the result; none unless given
    double maximum_value = 3.4028234663852886e+38; ///< upper limit of the result; none unless given
    std::int64_t primary_stride_x = 1; ///< step in columns through the primary source; 0: one column for all
    std::int64_t primary_stride_y = 1; ///< step in rows through the primary source; 0: one row for all
    std::int64_t primary_stride_in_feature_channels = 1; ///< 1, or 0: one channel of the primary source for all
    std::int64_t secondary_stride_x = 1; ///< step in columns through the secondary source; 0: one column for all
    std::int64_t secondary_stride_y = 1; ///< step in rows through the secondary source; 0: one row for all
    std::int64_t secondary_stride_in_feature_channels = 1; ///< 1, or 0: one channel of the secondary source for all
    std::string label{}; ///< a name for messages
    std::array<std::int64_t, 3> primary_offset{0, 0, 0}; ///< (x, y, z): position in the primary source of the first pixel written
    EdgeMode primary_edge_mode = EdgeMode::zero; ///< value of reads outside the primary source: 'zero' or 'clamp'
    std::int64_t primary_source_feature_channel_offset = 0; ///< first feature channel read of the primary source, a multiple of 4
    std::int64_t primary_source_feature_channel_max_count = INT64_MAX; ///< maximum number of feature channels read of the primary source
    std::array<std::int64_t, 3> secondary_offset{0, 0, 0}; ///< (x, y, z): position in the secondary source of the first pixel written
    EdgeMode secondary_edge_mode = EdgeMode::zero; ///< value of reads outside the secondary source: 'zero' or 'clamp'
    std::int64_t secondary_source_feature_channel_offset = 0; ///< first feature channel read of the secondary source, a multiple of 4
    std::int64_t secondary_source_feature_channel_max_count = INT64_MAX; ///< maximum number of feature channels read of the secondary source
    std::optional<std::array<std::int64_t, 6>> clip_rect{}; ///< (x, y, z, width, height, depth): part of the destination that may be written; empty: all of it
    std::int64_t destination_feature_channel_offset = 0; ///< first feature channel written, a multiple of 4
    std::int64_t padding = 16; ///< size and place of results that the kernel makes itself (MPSNNPaddingMethod)
    template <class Visit> void visit_fields(Visit &&visit) const { visit("is_secondary_source_filter", is_secondary_source_filter); visit("primary_scale", primary_scale); visit("secondary_scale", secondary_scale); visit("bias", bias); visit("minimum_value", minimum_value); visit("maximum_value", maximum_value); visit("primary_stride_x", primary_stride_x); visit("primary_stride_y", primary_stride_y); visit("primary_stride_in_feature_channels", primary_stride_in_feature_channels); visit("secondary_stride_x", secondary_stride_x); visit("secondary_stride_y", secondary_stride_y); visit("secondary_stride_in_feature_channels", secondary_stride_in_feature_channels); visit("label", label); visit("primary_offset", primary_offset); visit("primary_edge_mode", primary_edge_mode); visit("primary_source_feature_channel_offset", primary_source_feature_channel_offset); visit("primary_source_feature_channel_max_count", primary_source_feature_channel_max_count); visit("secondary_offset", secondary_offset); visit("secondary_edge_mode", secondary_edge_mode); visit("secondary_source_feature_channel_offset", secondary_source_feature_channel_offset); visit("secondary_source_feature_channel_max_count", secondary_source_feature_channel_max_count); visit("clip_rect", clip_rect); visit("destination_feature_channel_offset", destination_feature_channel_offset); visit("padding", padding); }
};
using AddGradient = AddGradientOptions<"AddGradient">; ///< scale * g.
using MultiplyGradient = AddGradientOptions<"MultiplyGradient">; ///< primary_scale * secondary_scale * g * the other operand.
using SubtractGradient = AddGradientOptions<"SubtractGradient">; ///< primary_scale * g, or -secondary_scale * g.

/// The options of MPSCNNBatchNormalization.
template <detail::ClassName Name> struct BatchNormalizationOptions {
    static constexpr const char *kernel_class = Name.text;
    std::int64_t number_of_feature_channels = 0; ///< feature channels of the source
    std::optional<NeuronDescriptor> fused_neuron_descriptor{}; ///< neuron applied to the result; empty: what the class has by itself
    double epsilon = 1.1754943508222875e-38; ///< added to the variance, above zero
    std::string label{}; ///< a name for messages
    std::array<std::int64_t, 3> offset{0, 0, 0}; ///< (x, y, z): position in the source of the first pixel written, for a kernel with a window of its centre tap; z is the first image
    EdgeMode edge_mode = EdgeMode::zero; ///< value of reads outside the source: 'zero' or 'clamp' (the nearest pixel); Pad has more modes
    std::int64_t source_feature_channel_offset = 0; ///< first feature channel read, a multiple of 4
    std::int64_t source_feature_channel_max_count = INT64_MAX; ///< maximum number of feature channels read
    std::optional<std::array<std::int64_t, 6>> clip_rect{}; ///< (x, y, z, width, height, depth): part of the destination that may be written; empty: all of it
    std::int64_t destination_feature_channel_offset = 0; ///< first feature channel written, a multiple of 4
    std::int64_t padding = 16; ///< size and place of results that the kernel makes itself (MPSNNPaddingMethod)
    template <class Visit> void visit_fields(Visit &&visit) const { visit("number_of_feature_channels", number_of_feature_channels); visit("fused_neuron_descriptor", fused_neuron_descriptor); visit("epsilon", epsilon); visit("label", label); visit("offset", offset); visit("edge_mode", edge_mode); visit("source_feature_channel_offset", source_feature_channel_offset); visit("source_feature_channel_max_count", source_feature_channel_max_count); visit("clip_rect", clip_rect); visit("destination_feature_channel_offset", destination_feature_channel_offset); visit("padding", padding); }
};
using BatchNormalization = BatchNormalizationOptions<"BatchNormalization">; ///< gamma (x - mean) / sqrt(variance + epsilon) + beta for each channel.

/// The options of MPSCNNBatchNormalizationGradient, MPSCNNBatchNormalizationStatisticsGradient.
template <detail::ClassName Name> struct BatchNormalizationGradientOptions {
    static constexpr const char *kernel_class = Name.text;
    std::int64_t number_of_feature_channels = 0; ///< feature channels of the source
    std::optional<NeuronDescriptor> fused_neuron_descriptor{}; ///< neuron applied to the result; empty: what the class has by itself
    double epsilon = 1.1754943508222875e-38; ///< added to the variance, above zero
    std::string label{}; ///< a name for messages
    template <class Visit> void visit_fields(Visit &&visit) const { visit("number_of_feature_channels", number_of_feature_channels); visit("fused_neuron_descriptor", fused_neuron_descriptor); visit("epsilon", epsilon); visit("label", label); }
};
using BatchNormalizationGradient = BatchNormalizationGradientOptions<"BatchNormalizationGradient">; ///< Compute the gradient of a batch normalization's source.
using BatchNormalizationStatisticsGradient = BatchNormalizationGradientOptions<"BatchNormalizationStatisticsGradient">; ///< Compute the gradients of gamma and beta, and store them in the state.

/// The options of MPSCNNBatchNormalizationStatistics, MPSCNNLogSoftMax, MPSNNSlice, MPSCNNSoftMax.
template <detail::ClassName Name> struct BatchNormalizationStatisticsOptions {
    static constexpr const char *kernel_class = Name.text;
    std::string label{}; ///< a name for messages
    std::array<std::int64_t, 3> offset{0, 0, 0}; ///< (x, y, z): position in the source of the first pixel written, for a kernel with a window of its centre tap; z is the first image
    EdgeMode edge_mode = EdgeMode::zero; ///< value of reads outside the source: 'zero' or 'clamp' (the nearest pixel); Pad has more modes
    std::int64_t source_feature_channel_offset = 0; ///< first feature channel read, a multiple of 4
    std::int64_t source_feature_channel_max_count = INT64_MAX; ///< maximum number of feature channels read
    std::optional<std::array<std::int64_t, 6>> clip_rect{}; ///< (x, y, z, width, height, depth): part of the destination that may be written; empty: all of it
    std::int64_t destination_feature_channel_offset = 0; ///< first feature channel written, a multiple of 4
    std::int64_t padding = 16; ///< size and place of results that the kernel makes itself (MPSNNPaddingMethod)
    template <class Visit> void visit_fields(Visit &&visit) const { visit("label", label); visit("offset", offset); visit("edge_mode", edge_mode); visit("source_feature_channel_offset", source_feature_channel_offset); visit("source_feature_channel_max_count", source_feature_channel_max_count); visit("clip_rect", clip_rect); visit("destination_feature_channel_offset", destination_feature_channel_offset); visit("padding", padding); }
};
using BatchNormalizationStatistics = BatchNormalizationStatisticsOptions<"BatchNormalizationStatistics">; ///< Add the mean and variance of a batch to a state.
using LogSoftMax = BatchNormalizationStatisticsOptions<"LogSoftMax">; ///< x - ln(sum(exp(x))) over the feature channels of each pixel.
using Slice = BatchNormalizationStatisticsOptions<"Slice">; ///< Copy the pixels from `offset` and the channels from `source_feature_channel_offset` on.
using SoftMax = BatchNormalizationStatisticsOptions<"SoftMax">; ///< exp(x) / sum(exp(x)) over the feature channels of each pixel.

/// The options of MPSCNNBinaryConvolution.
template <detail::ClassName Name> struct BinaryConvolutionOptions {
    static constexpr const char *kernel_class = Name.text;
    std::int64_t kernel_width = 1; ///< columns of the filter
    std::int64_t kernel_height = 1; ///< rows of the filter
    std::int64_t input_feature_channels = 0; ///< feature channels of the source
    std::int64_t output_feature_channels = 0; ///< number of filters
    std::int64_t stride_x = 1; ///< source columns between destination columns
    std::int64_t stride_y = 1; ///< source rows between destination rows
    std::int64_t dilation_rate_x = 1; ///< source columns between taps
    std::int64_t dilation_rate_y = 1; ///< source rows between taps
    BinaryKind type = BinaryKind::binary_weights; ///< 'binary_weights' (real inputs), 'xnor' (signs of inputs) or 'and' (bits of inputs)
    bool use_beta_scaling = false; ///< whether results are multiplied by the mean magnitude of the source in the window
    std::optional<NeuronDescriptor> fused_neuron_descriptor{}; ///< neuron applied to the result; empty: what the class has by itself
    std::string label{}; ///< a name for messages
    std::array<std::int64_t, 3> offset{0, 0, 0}; ///< (x, y, z): position in the source of the first pixel written, for a kernel with a window of its centre tap; z is the first image
    EdgeMode edge_mode = EdgeMode::zero; ///< value of reads outside the source: 'zero' or 'clamp' (the nearest pixel); Pad has more modes
    std::int64_t source_feature_channel_offset = 0; ///< first feature channel read, a multiple of 4
    std::int64_t source_feature_channel_max_count = INT64_MAX; ///< maximum number of feature channels read
    std::optional<std::array<std::int64_t, 6>> clip_rect{}; ///< (x, y, z, width, height, depth): part of the destination that may be written; empty: all of it
    std::int64_t destination_feature_channel_offset = 0; ///< first feature channel written, a multiple of 4
    std::int64_t padding = 16; ///< size and place of results that the kernel makes itself (MPSNNPaddingMethod)
    template <class Visit> void visit_fields(Visit &&visit) const { visit("kernel_width", kernel_width); visit("kernel_height", kernel_height); visit("input_feature_channels", input_feature_channels); visit("output_feature_channels", output_feature_channels); visit("stride_x", stride_x); visit("stride_y", stride_y); visit("dilation_rate_x", dilation_rate_x); visit("dilation_rate_y", dilation_rate_y); visit("type", type); visit("use_beta_scaling", use_beta_scaling); visit("fused_neuron_descriptor", fused_neuron_descriptor); visit("label", label); visit("offset", offset); visit("edge_mode", edge_mode); visit("source_feature_channel_offset", source_feature_channel_offset); visit("source_feature_channel_max_count", source_feature_channel_max_count); visit("clip_rect", clip_rect); visit("destination_feature_channel_offset", destination_feature_channel_offset); visit("padding", padding); }
};
using BinaryConvolution = BinaryConvolutionOptions<"BinaryConvolution">; ///< Convolution with weights of one bit.

/// The options of MPSCNNBinaryFullyConnected.
template <detail::ClassName Name> struct BinaryFullyConnectedOptions {
    static constexpr const char *kernel_class = Name.text;
    std::int64_t kernel_width = 1; ///< columns of the filter
    std::int64_t kernel_height = 1; ///< rows of the filter
    std::int64_t input_feature_channels = 0; ///< feature channels of the source
    std::int64_t output_feature_channels = 0; ///< number of filters
    std::int64_t stride_x = 1; ///< source columns between destination columns
    std::int64_t stride_y = 1; ///< source rows between destination rows
    std::int64_t dilation_rate_x = 1; ///< source columns between taps
    std::int64_t dilation_rate_y = 1; ///< source rows between taps
    BinaryKind type = BinaryKind::binary_weights; ///< 'binary_weights' (real inputs), 'xnor' (signs of inputs) or 'and' (bits of inputs)
    bool use_beta_scaling = false; ///< whether results are multiplied by the mean magnitude of the source in the window
    std::optional<NeuronDescriptor> fused_neuron_descriptor{}; ///< neuron applied to the result; empty: what the class has by itself
    std::string label{}; ///< a name for messages
    std::array<std::int64_t, 3> offset{0, 0, 0}; ///< (x, y, z): position in the source of the first pixel written, for a kernel with a window of its centre tap; z is the first image
    EdgeMode edge_mode = EdgeMode::zero; ///< value of reads outside the source: 'zero' or 'clamp' (the nearest pixel); Pad has more modes
    std::int64_t source_feature_channel_offset = 0; ///< first feature channel read, a multiple of 4
    std::int64_t source_feature_channel_max_count = INT64_MAX; ///< maximum number of feature channels read
    std::optional<std::array<std::int64_t, 6>> clip_rect{}; ///< (x, y, z, width, height, depth): part of the destination that may be written; empty: all of it
    std::int64_t destination_feature_channel_offset = 0; ///< first feature channel written, a multiple of 4
    std::int64_t padding = 0; ///< size and place of results that the kernel makes itself (MPSNNPaddingMethod)
    template <class Visit> void visit_fields(Visit &&visit) const { visit("kernel_width", kernel_width); visit("kernel_height", kernel_height); visit("input_feature_channels", input_feature_channels); visit("output_feature_channels", output_feature_channels); visit("stride_x", stride_x); visit("stride_y", stride_y); visit("dilation_rate_x", dilation_rate_x); visit("dilation_rate_y", dilation_rate_y); visit("type", type); visit("use_beta_scaling", use_beta_scaling); visit("fused_neuron_descriptor", fused_neuron_descriptor); visit("label", label); visit("offset", offset); visit("edge_mode", edge_mode); visit("source_feature_channel_offset", source_feature_channel_offset); visit("source_feature_channel_max_count", source_feature_channel_max_count); visit("clip_rect", clip_rect); visit("destination_feature_channel_offset", destination_feature_channel_offset); visit("padding", padding); }
};
using BinaryFullyConnected = BinaryFullyConnectedOptions<"BinaryFullyConnected">; ///< Compute weighted sums of the whole source with weights of one bit.

/// The options of MPSNNCompare.
template <detail::ClassName Name> struct CompareOptions {
    static constexpr const char *kernel_class = Name.text;
    ComparisonType comparison_type = ComparisonType::equal; ///< the comparison of primary and secondary source
    double threshold = 0.0; ///< the largest difference of values that count as equal
    double primary_scale = 1.0; ///< factor of the primary source
    double secondary_scale = 1.0; ///< factor of the secondary source
    double bias = 0.0; ///< added to the result
    double minimum_value = -3.4028234663852886e+38; ///< lower limit of the result; none unless given
    double maximum_value = 3.4028234663852886e+38; ///< upper limit of the result; none unless given
    std::int64_t primary_stride_x = 1; ///< step in columns through the primary source; 0: one column for all
    std::int64_t primary_stride_y = 1; ///< step in rows through the primary source; 0: one row for all
    std::int64_t primary_stride_in_feature_channels = 1; ///< 1, or 0: one channel of the primary source for all
    std::int64_t secondary_stride_x = 1; ///< step in columns through the secondary source; 0: one column for all
    std::int64_t secondary_stride_y = 1; ///< step in rows through the secondary source; 0: one row for all
    std::int64_t secondary_stride_in_feature_channels = 1; ///< 1, or 0: one channel of the secondary source for all
    std::string label{}; ///< a name for messages
    std::array<std::int64_t, 3> primary_offset{0, 0, 0}; ///< (x, y, z): position in the primary source of the first pixel written
    EdgeMode primary_edge_mode = EdgeMode::zero; ///< value of reads outside the primary source: 'zero' or 'clamp'
    std::int64_t primary_source_feature_channel_offset = 0; ///< first feature channel read of the primary source, a multiple of 4
    std::int64_t primary_source_feature_channel_max_count = INT64_MAX; ///< maximum number of feature channels read of the primary source
    std::array<std::int64_t, 3> secondary_offset{0, 0, 0}; ///< (x, y, z): position in the secondary source of the first pixel written
    EdgeMode secondary_edge_mode = EdgeMode::zero; ///< value of reads outside the secondary source: 'zero' or 'clamp'
    std::int64_t secondary_source_feature_channel_offset = 0; ///< first feature channel read of the secondary source, a multiple of 4
    std::int64_t secondary_source_feature_channel_max_count = INT64_MAX; ///< maximum number of feature channels read of the secondary source
    std::optional<std::array<std::int64_t, 6>> clip_rect{}; ///< (x, y, z, width, height, depth): part of the destination that may be written; empty: all of it
    std::int64_t destination_feature_channel_offset = 0; ///< first feature channel written, a multiple of 4
    std::int64_t padding = 16; ///< size and place of results that the kernel makes itself (MPSNNPaddingMethod)
    template <class Visit> void visit_fields(Visit &&visit) const { visit("comparison_type", comparison_type); visit("threshold", threshold); visit("primary_scale", primary_scale); visit("secondary_scale", secondary_scale); visit("bias", bias); visit("minimum_value", minimum_value); visit("maximum_value", maximum_value); visit("primary_stride_x", primary_stride_x); visit("primary_stride_y", primary_stride_y); visit("primary_stride_in_feature_channels", primary_stride_in_feature_channels); visit("secondary_stride_x", secondary_stride_x); visit("secondary_stride_y", secondary_stride_y); visit("secondary_stride_in_feature_channels", secondary_stride_in_feature_channels); visit("label", label); visit("primary_offset", primary_offset); visit("primary_edge_mode", primary_edge_mode); visit("primary_source_feature_channel_offset", primary_source_feature_channel_offset); visit("primary_source_feature_channel_max_count", primary_source_feature_channel_max_count); visit("secondary_offset", secondary_offset); visit("secondary_edge_mode", secondary_edge_mode); visit("secondary_source_feature_channel_offset", secondary_source_feature_channel_offset); visit("secondary_source_feature_channel_max_count", secondary_source_feature_channel_max_count); visit("clip_rect", clip_rect); visit("destination_feature_channel_offset", destination_feature_channel_offset); visit("padding", padding); }
};
using Compare = CompareOptions<"Compare">; ///< 1 where x and y compare as `comparison_type` says, else 0.

/// The options of MPSCNNConvolution.
template <detail::ClassName Name> struct ConvolutionOptions {
    static constexpr const char *kernel_class = Name.text;
    std::int64_t kernel_width = 1; ///< columns of the filter
    std::int64_t kernel_height = 1; ///< rows of the filter
    std::int64_t input_feature_channels = 0; ///< feature channels of the source
    std::int64_t output_feature_channels = 0; ///< number of filters
    std::int64_t stride_x = 1; ///< source columns between destination columns
    std::int64_t stride_y = 1; ///< source rows between destination rows
    std::int64_t dilation_rate_x = 1; ///< source columns between taps
    std::int64_t dilation_rate_y = 1; ///< source rows between taps
    std::int64_t groups = 1; ///< independent groups of channels; each has a multiple of 4 source and destination channels
    bool depthwise = false; ///< whether each source channel is convolved on its own (MPSCNNDepthWiseConvolutionDescriptor)
    std::int64_t sub_pixel_scale_factor = 1; ///< factor by which channels become rows and columns (MPSCNNSubPixelConvolutionDescriptor)
    std::optional<NeuronDescriptor> fused_neuron_descriptor{}; ///< neuron applied to the result; empty: what the class has by itself
    bool batch_normalization = false; ///< whether there are weights mean, variance, gamma and beta, applied before the neuron
    double batch_normalization_epsilon = 1.1754943508222875e-38; ///< added to the variance, above zero
    std::string label{}; ///< a name for messages
    std::array<std::int64_t, 3> offset{0, 0, 0}; ///< (x, y, z): position in the source of the first pixel written, for a kernel with a window of its centre tap; z is the first image
    EdgeMode edge_mode = EdgeMode::zero; ///< value of reads outside the source: 'zero' or 'clamp' (the nearest pixel); Pad has more modes
    std::int64_t source_feature_channel_offset = 0; ///< first feature channel read, a multiple of 4
    std::int64_t source_feature_channel_max_count = INT64_MAX; ///< maximum number of feature channels read
    std::optional<std::array<std::int64_t, 6>> clip_rect{}; ///< (x, y, z, width, height, depth): part of the destination that may be written; empty: all of it
    std::int64_t destination_feature_channel_offset = 0; ///< first feature channel written, a multiple of 4
    std::int64_t padding = 16; ///< size and place of results that the kernel makes itself (MPSNNPaddingMethod)
    template <class Visit> void visit_fields(Visit &&visit) const { visit("kernel_width", kernel_width); visit("kernel_height", kernel_height); visit("input_feature_channels", input_feature_channels); visit("output_feature_channels", output_feature_channels); visit("stride_x", stride_x); visit("stride_y", stride_y); visit("dilation_rate_x", dilation_rate_x); visit("dilation_rate_y", dilation_rate_y); visit("groups", groups); visit("depthwise", depthwise); visit("sub_pixel_scale_factor", sub_pixel_scale_factor); visit("fused_neuron_descriptor", fused_neuron_descriptor); visit("batch_normalization", batch_normalization); visit("batch_normalization_epsilon", batch_normalization_epsilon); visit("label", label); visit("offset", offset); visit("edge_mode", edge_mode); visit("source_feature_channel_offset", source_feature_channel_offset); visit("source_feature_channel_max_count", source_feature_channel_max_count); visit("clip_rect", clip_rect); visit("destination_feature_channel_offset", destination_feature_channel_offset); visit("padding", padding); }
};
using Convolution = ConvolutionOptions<"Convolution">; ///< Convolution (a correlation).

/// The options of MPSCNNConvolutionGradient.
template <detail::ClassName Name> struct ConvolutionGradientOptions {
    static constexpr const char *kernel_class = Name.text;
    std::int64_t kernel_width = 1; ///< columns of the filter
    std::int64_t kernel_height = 1; ///< rows of the filter
    std::int64_t input_feature_channels = 0; ///< feature channels of the source
    std::int64_t output_feature_channels = 0; ///< number of filters
    std::int64_t stride_x = 1; ///< source columns between destination columns
    std::int64_t stride_y = 1; ///< source rows between destination rows
    std::int64_t dilation_rate_x = 1; ///< source columns between taps
    std::int64_t dilation_rate_y = 1; ///< source rows between taps
    std::int64_t groups = 1; ///< independent groups of channels; each has a multiple of 4 source and destination channels
    bool depthwise = false; ///< whether each source channel is convolved on its own (MPSCNNDepthWiseConvolutionDescriptor)
    std::int64_t sub_pixel_scale_factor = 1; ///< factor by which channels become rows and columns (MPSCNNSubPixelConvolutionDescriptor)
    std::optional<NeuronDescriptor> fused_neuron_descriptor{}; ///< neuron applied to the result; empty: what the class has by itself
    bool batch_normalization = false; ///< whether there are weights mean, variance, gamma and beta, applied before the neuron
    double batch_normalization_epsilon = 1.1754943508222875e-38; ///< added to the variance, above zero
    std::string label{}; ///< a name for messages
    std::array<std::int64_t, 3> primary_offset{0, 0, 0}; ///< (x, y, z): position in the primary source of the first pixel written
    EdgeMode primary_edge_mode = EdgeMode::zero; ///< value of reads outside the primary source: 'zero' or 'clamp'
    std::int64_t primary_source_feature_channel_offset = 0; ///< first feature channel read of the primary source, a multiple of 4
    std::int64_t primary_source_feature_channel_max_count = INT64_MAX; ///< maximum number of feature channels read of the primary source
    std::array<std::int64_t, 3> secondary_offset{0, 0, 0}; ///< (x, y, z): position in the secondary source of the first pixel written
    EdgeMode secondary_edge_mode = EdgeMode::zero; ///< value of reads outside the secondary source: 'zero' or 'clamp'
    std::int64_t secondary_source_feature_channel_offset = 0; ///< first feature channel read of the secondary source, a multiple of 4
    std::int64_t secondary_source_feature_channel_max_count = INT64_MAX; ///< maximum number of feature channels read of the secondary source
    std::optional<std::array<std::int64_t, 6>> clip_rect{}; ///< (x, y, z, width, height, depth): part of the destination that may be written; empty: all of it
    std::int64_t destination_feature_channel_offset = 0; ///< first feature channel written, a multiple of 4
    std::int64_t padding = 16; ///< size and place of results that the kernel makes itself (MPSNNPaddingMethod)
    std::int64_t kernel_offset_x = 0; ///< columns by which the window is moved over the gradient with stride - 1 zeros between its pixels
    std::int64_t kernel_offset_y = 0; ///< rows by which the window is moved in the same way
    std::string gradient_of = "source"; ///< 'source', or the weight whose gradient is the result
    template <class Visit> void visit_fields(Visit &&visit) const { visit("kernel_width", kernel_width); visit("kernel_height", kernel_height); visit("input_feature_channels", input_feature_channels); visit("output_feature_channels", output_feature_channels); visit("stride_x", stride_x); visit("stride_y", stride_y); visit("dilation_rate_x", dilation_rate_x); visit("dilation_rate_y", dilation_rate_y); visit("groups", groups); visit("depthwise", depthwise); visit("sub_pixel_scale_factor", sub_pixel_scale_factor); visit("fused_neuron_descriptor", fused_neuron_descriptor); visit("batch_normalization", batch_normalization); visit("batch_normalization_epsilon", batch_normalization_epsilon); visit("label", label); visit("primary_offset", primary_offset); visit("primary_edge_mode", primary_edge_mode); visit("primary_source_feature_channel_offset", primary_source_feature_channel_offset); visit("primary_source_feature_channel_max_count", primary_source_feature_channel_max_count); visit("secondary_offset", secondary_offset); visit("secondary_edge_mode", secondary_edge_mode); visit("secondary_source_feature_channel_offset", secondary_source_feature_channel_offset); visit("secondary_source_feature_channel_max_count", secondary_source_feature_channel_max_count); visit("clip_rect", clip_rect); visit("destination_feature_channel_offset", destination_feature_channel_offset); visit("padding", padding); visit("kernel_offset_x", kernel_offset_x); visit("kernel_offset_y", kernel_offset_y); visit("gradient_of", gradient_of); }
};
using ConvolutionGradient = ConvolutionGradientOptions<"ConvolutionGradient">; ///< Compute the gradients of a convolution's source, weights and bias terms.

/// The options of MPSCNNConvolutionTranspose.
template <detail::ClassName Name> struct ConvolutionTransposeOptions {
    static constexpr const char *kernel_class = Name.text;
    std::int64_t kernel_width = 1; ///< columns of the filter
    std::int64_t kernel_height = 1; ///< rows of the filter
    std::int64_t input_feature_channels = 0; ///< feature channels of the source
    std::int64_t output_feature_channels = 0; ///< number of filters
    std::int64_t stride_x = 1; ///< destination columns between source columns
    std::int64_t stride_y = 1; ///< destination rows between source rows
    std::int64_t dilation_rate_x = 1; ///< destination columns between taps
    std::int64_t dilation_rate_y = 1; ///< destination rows between taps
    std::int64_t groups = 1; ///< independent groups of channels
    std::optional<NeuronDescriptor> fused_neuron_descriptor{}; ///< neuron applied to the result; empty: what the class has by itself
    std::int64_t kernel_offset_x = 0; ///< destination columns by which the window is moved
    std::int64_t kernel_offset_y = 0; ///< destination rows by which the window is moved
    std::string label{}; ///< a name for messages
    std::array<std::int64_t, 3> offset{0, 0, 0}; ///< (x, y, z): position in the source of the first pixel written, for a kernel with a window of its centre tap; z is the first image
    EdgeMode edge_mode = EdgeMode::zero; ///< value of reads outside the source: 'zero' or 'clamp' (the nearest pixel); Pad has more modes
    std::int64_t source_feature_channel_offset = 0; ///< first feature channel read, a multiple of 4
    std::int64_t source_feature_channel_max_count = INT64_MAX; ///< maximum number of feature channels read
    std::optional<std::array<std::int64_t, 6>> clip_rect{}; ///< (x, y, z, width, height, depth): part of the destination that may be written; empty: all of it
    std::int64_t destination_feature_channel_offset = 0; ///< first feature channel written, a multiple of 4
    std::int64_t padding = 32; ///< size and place of results that the kernel makes itself (MPSNNPaddingMethod)
    template <class Visit> void visit_fields(Visit &&visit) const { visit("kernel_width", kernel_width); visit("kernel_height", kernel_height); visit("input_feature_channels", input_feature_channels); visit("output_feature_channels", output_feature_channels); visit("stride_x", stride_x); visit("stride_y", stride_y); visit("dilation_rate_x", dilation_rate_x); visit("dilation_rate_y", dilation_rate_y); visit("groups", groups); visit("fused_neuron_descriptor", fused_neuron_descriptor); visit("kernel_offset_x", kernel_offset_x); visit("kernel_offset_y", kernel_offset_y); visit("label", label); visit("offset", offset); visit("edge_mode", edge_mode); visit("source_feature_channel_offset", source_feature_channel_offset); visit("source_feature_channel_max_count", source_feature_channel_max_count); visit("clip_rect", clip_rect); visit("destination_feature_channel_offset", destination_feature_channel_offset); visit("padding", padding); }
};
using ConvolutionTranspose = ConvolutionTransposeOptions<"ConvolutionTranspose">; ///< Transposed convolution.

/// The options of MPSCNNConvolutionTransposeGradient.
template <detail::ClassName Name> struct ConvolutionTransposeGradientOptions {
    static constexpr const char *kernel_class = Name.text;
    std::int64_t kernel_width = 1; ///< columns of the filter
    std::int64_t kernel_height = 1; ///< rows of the filter
    std::int64_t input_feature_channels = 0; ///< feature channels of the source
    std::int64_t output_feature_channels = 0; ///< number of filters
    std::int64_t stride_x = 1; ///< destination columns between source columns
    std::int64_t stride_y = 1; ///< destination rows between source rows
    std::int64_t dilation_rate_x = 1; ///< destination columns between taps
    std::int64_t dilation_rate_y = 1; ///< destination rows between taps
    std::int64_t groups = 1; ///< independent groups of channels
    std::optional<NeuronDescriptor> fused_neuron_descriptor{}; ///< neuron applied to the result; empty: what the class has by itself
    std::string label{}; ///< a name for messages
    std::array<std::int64_t, 3> primary_offset{0, 0, 0}; ///< (x, y, z): position in the primary source of the first pixel written
    EdgeMode primary_edge_mode = EdgeMode::zero; ///< value of reads outside the primary source: 'zero' or 'clamp'
    std::int64_t primary_source_feature_channel_offset = 0; ///< first feature channel read of the primary source, a multiple of 4
    std::int64_t primary_source_feature_channel_max_count = INT64_MAX; ///< maximum number of feature channels read of the primary source
    std::array<std::int64_t, 3> secondary_offset{0, 0, 0}; ///< (x, y, z): position in the secondary source of the first pixel written
    EdgeMode secondary_edge_mode = EdgeMode::zero; ///< value of reads outside the secondary source: 'zero' or 'clamp'
    std::int64_t secondary_source_feature_channel_offset = 0; ///< first feature channel read of the secondary source, a multiple of 4
    std::int64_t secondary_source_feature_channel_max_count = INT64_MAX; ///< maximum number of feature channels read of the secondary source
    std::optional<std::array<std::int64_t, 6>> clip_rect{}; ///< (x, y, z, width, height, depth): part of the destination that may be written; empty: all of it
    std::int64_t destination_feature_channel_offset = 0; ///< first feature channel written, a multiple of 4
    std::int64_t padding = 32; ///< size and place of results that the kernel makes itself (MPSNNPaddingMethod)
    std::int64_t kernel_offset_x = 0; ///< columns by which the window is moved over the gradient
    std::int64_t kernel_offset_y = 0; ///< rows by which the window is moved in the same way
    std::string gradient_of = "source"; ///< 'source', or the weight whose gradient is the result
    template <class Visit> void visit_fields(Visit &&visit) const { visit("kernel_width", kernel_width); visit("kernel_height", kernel_height); visit("input_feature_channels", input_feature_channels); visit("output_feature_channels", output_feature_channels); visit("stride_x", stride_x); visit("stride_y", stride_y); visit("dilation_rate_x", dilation_rate_x); visit("dilation_rate_y", dilation_rate_y); visit("groups", groups); visit("fused_neuron_descriptor", fused_neuron_descriptor); visit("label", label); visit("primary_offset", primary_offset); visit("primary_edge_mode", primary_edge_mode); visit("primary_source_feature_channel_offset", primary_source_feature_channel_offset); visit("primary_source_feature_channel_max_count", primary_source_feature_channel_max_count); visit("secondary_offset", secondary_offset); visit("secondary_edge_mode", secondary_edge_mode); visit("secondary_source_feature_channel_offset", secondary_source_feature_channel_offset); visit("secondary_source_feature_channel_max_count", secondary_source_feature_channel_max_count); visit("clip_rect", clip_rect); visit("destination_feature_channel_offset", destination_feature_channel_offset); visit("padding", padding); visit("kernel_offset_x", kernel_offset_x); visit("kernel_offset_y", kernel_offset_y); visit("gradient_of", gradient_of); }
};
using ConvolutionTransposeGradient = ConvolutionTransposeGradientOptions<"ConvolutionTransposeGradient">; ///< Compute the gradients of a transposed convolution's source, weights and bias terms.

/// The options of MPSCNNCrossChannelNormalization.
template <detail::ClassName Name> struct CrossChannelNormalizationOptions {
    static constexpr const char *kernel_class = Name.text;
    std::int64_t kernel_size = 5; ///< channels of the window, and the divisor of its sum everywhere
    double alpha = 1.0; ///< factor of the mean square
    double beta = 5.0; ///< exponent
    double delta = 1.0; ///< added to the scaled mean square
    std::string label{}; ///< a name for messages
    std::array<std::int64_t, 3> offset{0, 0, 0}; ///< (x, y, z): position in the source of the first pixel written, for a kernel with a window of its centre tap; z is the first image
    EdgeMode edge_mode = EdgeMode::zero; ///< value of reads outside the source: 'zero' or 'clamp' (the nearest pixel); Pad has more modes
    std::int64_t source_feature_channel_offset = 0; ///< first feature channel read, a multiple of 4
    std::int64_t source_feature_channel_max_count = INT64_MAX; ///< maximum number of feature channels read
    std::optional<std::array<std::int64_t, 6>> clip_rect{}; ///< (x, y, z, width, height, depth): part of the destination that may be written; empty: all of it
    std::int64_t destination_feature_channel_offset = 0; ///< first feature channel written, a multiple of 4
    std::int64_t padding = 16; ///< size and place of results that the kernel makes itself (MPSNNPaddingMethod)
    template <class Visit> void visit_fields(Visit &&visit) const { visit("kernel_size", kernel_size); visit("alpha", alpha); visit("beta", beta); visit("delta", delta); visit("label", label); visit("offset", offset); visit("edge_mode", edge_mode); visit("source_feature_channel_offset", source_feature_channel_offset); visit("source_feature_channel_max_count", source_feature_channel_max_count); visit("clip_rect", clip_rect); visit("destination_feature_channel_offset", destination_feature_channel_offset); visit("padding", padding); }
};
using CrossChannelNormalization = CrossChannelNormalizationOptions<"CrossChannelNormalization">; ///< x / (delta + alpha / kernel_size * sum of x^2)^beta.

/// The options of MPSCNNCrossChannelNormalizationGradient.
template <detail::ClassName Name> struct CrossChannelNormalizationGradientOptions {
    static constexpr const char *kernel_class = Name.text;
    std::int64_t kernel_size = 5; ///< channels of the window, and the divisor of its sum everywhere
    double alpha = 1.0; ///< factor of the mean square
    double beta = 5.0; ///< exponent
    double delta = 1.0; ///< added to the scaled mean square
    std::string label{}; ///< a name for messages
    std::array<std::int64_t, 3> primary_offset{0, 0, 0}; ///< (x, y, z): position in the primary source of the first pixel written
    EdgeMode primary_edge_mode = EdgeMode::zero; ///< value of reads outside the primary source: 'zero' or 'clamp'
    std::int64_t primary_source_feature_channel_offset = 0; ///< first feature channel read of the primary source, a multiple of 4
    std::int64_t primary_source_feature_channel_max_count = INT64_MAX; ///< maximum number of feature channels read of the primary source
    std::array<std::int64_t, 3> secondary_offset{0, 0, 0}; ///< (x, y, z): position in the secondary source of the first pixel written
    EdgeMode secondary_edge_mode = EdgeMode::zero; ///< value of reads outside the secondary source: 'zero' or 'clamp'
    std::int64_t secondary_source_feature_channel_offset = 0; ///< first feature channel read of the secondary source, a multiple of 4
    std::int64_t secondary_source_feature_channel_max_count = INT64_MAX; ///< maximum number of feature channels read of the secondary source
    std::optional<std::array<std::int64_t, 6>> clip_rect{}; ///< (x, y, z, width, height, depth): part of the destination that may be written; empty: all of it
    std::int64_t destination_feature_channel_offset = 0; ///< first feature channel written, a multiple of 4
    std::int64_t padding = 16; ///< size and place of results that the kernel makes itself (MPSNNPaddingMethod)
    std::int64_t kernel_offset_x = 0; ///< columns by which the window is moved over the gradient with stride - 1 zeros between its pixels
    std::int64_t kernel_offset_y = 0; ///< rows by which the window is moved in the same way
    std::string gradient_of = "source"; ///< 'source', or the weight whose gradient is the result
    template <class Visit> void visit_fields(Visit &&visit) const { visit("kernel_size", kernel_size); visit("alpha", alpha); visit("beta", beta); visit("delta", delta); visit("label", label); visit("primary_offset", primary_offset); visit("primary_edge_mode", primary_edge_mode); visit("primary_source_feature_channel_offset", primary_source_feature_channel_offset); visit("primary_source_feature_channel_max_count", primary_source_feature_channel_max_count); visit("secondary_offset", secondary_offset); visit("secondary_edge_mode", secondary_edge_mode); visit("secondary_source_feature_channel_offset", secondary_source_feature_channel_offset); visit("secondary_source_feature_channel_max_count", secondary_source_feature_channel_max_count); visit("clip_rect", clip_rect); visit("destination_feature_channel_offset", destination_feature_channel_offset); visit("padding", padding); visit("kernel_offset_x", kernel_offset_x); visit("kernel_offset_y", kernel_offset_y); visit("gradient_of", gradient_of); }
};
using CrossChannelNormalizationGradient = CrossChannelNormalizationGradientOptions<"CrossChannelNormalizationGradient">; ///< Compute the gradient of a cross-channel normalization's source.

/// The options of MPSCNNDilatedPoolingMax.
template <detail::ClassName Name> struct DilatedPoolingMaxOptions {
    static constexpr const char *kernel_class = Name.text;
    std::int64_t kernel_width = 1; ///< columns of the window
    std::int64_t kernel_height = 1; ///< rows of the window
    std::int64_t stride_x = 1; ///< source columns between destination columns (strideInPixelsX)
    std::int64_t stride_y = 1; ///< source rows between destination rows (strideInPixelsY)
    std::int64_t dilation_rate_x = 1; ///< source columns between taps
    std::int64_t dilation_rate_y = 1; ///< source rows between taps
    std::string label{}; ///< a name for messages
    std::array<std::int64_t, 3> offset{0, 0, 0}; ///< (x, y, z): position in the source of the first pixel written, for a kernel with a window of its centre tap; z is the first image
    EdgeMode edge_mode = EdgeMode::zero; ///< value of reads outside the source: 'zero' or 'clamp' (the nearest pixel); Pad has more modes
    std::int64_t source_feature_channel_offset = 0; ///< first feature channel read, a multiple of 4
    std::int64_t source_feature_channel_max_count = INT64_MAX; ///< maximum number of feature channels read
    std::optional<std::array<std::int64_t, 6>> clip_rect{}; ///< (x, y, z, width, height, depth): part of the destination that may be written; empty: all of it
    std::int64_t destination_feature_channel_offset = 0; ///< first feature channel written, a multiple of 4
    std::int64_t padding = 16; ///< size and place of results that the kernel makes itself (MPSNNPaddingMethod)
    template <class Visit> void visit_fields(Visit &&visit) const { visit("kernel_width", kernel_width); visit("kernel_height", kernel_height); visit("stride_x", stride_x); visit("stride_y", stride_y); visit("dilation_rate_x", dilation_rate_x); visit("dilation_rate_y", dilation_rate_y); visit("label", label); visit("offset", offset); visit("edge_mode", edge_mode); visit("source_feature_channel_offset", source_feature_channel_offset); visit("source_feature_channel_max_count", source_feature_channel_max_count); visit("clip_rect", clip_rect); visit("destination_feature_channel_offset", destination_feature_channel_offset); visit("padding", padding); }
};
using DilatedPoolingMax = DilatedPoolingMaxOptions<"DilatedPoolingMax">; ///< Compute the maximum of each window whose taps lie dilation_rate pixels apart.

/// The options of MPSCNNDilatedPoolingMaxGradient.
template <detail::ClassName Name> struct DilatedPoolingMaxGradientOptions {
    static constexpr const char *kernel_class = Name.text;
    std::int64_t kernel_width = 1; ///< columns of the window
    std::int64_t kernel_height = 1; ///< rows of the window
    std::int64_t stride_x = 1; ///< source columns between destination columns (strideInPixelsX)
    std::int64_t stride_y = 1; ///< source rows between destination rows (strideInPixelsY)
    std::int64_t dilation_rate_x = 1; ///< source columns between taps
    std::int64_t dilation_rate_y = 1; ///< source rows between taps
    std::string label{}; ///< a name for messages
    std::array<std::int64_t, 3> primary_offset{0, 0, 0}; ///< (x, y, z): position in the primary source of the first pixel written
    EdgeMode primary_edge_mode = EdgeMode::zero; ///< value of reads outside the primary source: 'zero' or 'clamp'
    std::int64_t primary_source_feature_channel_offset = 0; ///< first feature channel read of the primary source, a multiple of 4
    std::int64_t primary_source_feature_channel_max_count = INT64_MAX; ///< maximum number of feature channels read of the primary source
    std::array<std::int64_t, 3> secondary_offset{0, 0, 0}; ///< (x, y, z): position in the secondary source of the first pixel written
    EdgeMode secondary_edge_mode = EdgeMode::zero; ///< value of reads outside the secondary source: 'zero' or 'clamp'
    std::int64_t secondary_source_feature_channel_offset = 0; ///< first feature channel read of the secondary source, a multiple of 4
    std::int64_t secondary_source_feature_channel_max_count = INT64_MAX; ///< maximum number of feature channels read of the secondary source
    std::optional<std::array<std::int64_t, 6>> clip_rect{}; ///< (x, y, z, width, height, depth): part of the destination that may be written; empty: all of it
    std::int64_t destination_feature_channel_offset = 0; ///< first feature channel written, a multiple of 4
    std::int64_t padding = 16; ///< size and place of results that the kernel makes itself (MPSNNPaddingMethod)
    std::int64_t kernel_offset_x = 0; ///< columns by which the window is moved over the gradient with stride - 1 zeros between its pixels
    std::int64_t kernel_offset_y = 0; ///< rows by which the window is moved in the same way
    std::string gradient_of = "source"; ///< 'source', or the weight whose gradient is the result
    template <class Visit> void visit_fields(Visit &&visit) const { visit("kernel_width", kernel_width); visit("kernel_height", kernel_height); visit("stride_x", stride_x); visit("stride_y", stride_y); visit("dilation_rate_x", dilation_rate_x); visit("dilation_rate_y", dilation_rate_y); visit("label", label); visit("primary_offset", primary_offset); visit("primary_edge_mode", primary_edge_mode); visit("primary_source_feature_channel_offset", primary_source_feature_channel_offset); visit("primary_source_feature_channel_max_count", primary_source_feature_channel_max_count); visit("secondary_offset", secondary_offset); visit("secondary_edge_mode", secondary_edge_mode); visit("secondary_source_feature_channel_offset", secondary_source_feature_channel_offset); visit("secondary_source_feature_channel_max_count", secondary_source_feature_channel_max_count); visit("clip_rect", clip_rect); visit("destination_feature_channel_offset", destination_feature_channel_offset); visit("padding", padding); visit("kernel_offset_x", kernel_offset_x); visit("kernel_offset_y", kernel_offset_y); visit("gradient_of", gradient_of); }
};
using DilatedPoolingMaxGradient = DilatedPoolingMaxGradientOptions<"DilatedPoolingMaxGradient">; ///< Compute the gradient of a `DilatedPoolingMax`, like `PoolingMaxGradient`.

/// The options of MPSCNNDropout.
template <detail::ClassName Name> struct DropoutOptions {
    static constexpr const char *kernel_class = Name.text;
    double keep_probability = 0.9990000128746033; ///< share of the elements that are kept, above 0, below 1
    std::int64_t seed = 0; ///< seed of the random numbers: the same seed gives the same mask
    std::array<std::int64_t, 3> mask_stride_in_pixels{1, 1, 1}; ///< (x, y, channels): 1, or 0 where one element of the mask serves the whole axis
    std::string label{}; ///< a name for messages
    std::array<std::int64_t, 3> offset{0, 0, 0}; ///< (x, y, z): position in the source of the first pixel written, for a kernel with a window of its centre tap; z is the first image
    EdgeMode edge_mode = EdgeMode::zero; ///< value of reads outside the source: 'zero' or 'clamp' (the nearest pixel); Pad has more modes
    std::int64_t source_feature_channel_offset = 0; ///< first feature channel read, a multiple of 4
    std::int64_t source_feature_channel_max_count = INT64_MAX; ///< maximum number of feature channels read
    std::optional<std::array<std::int64_t, 6>> clip_rect{}; ///< (x, y, z, width, height, depth): part of the destination that may be written; empty: all of it
    std::int64_t destination_feature_channel_offset = 0; ///< first feature channel written, a multiple of 4
    std::int64_t padding = 16; ///< size and place of results that the kernel makes itself (MPSNNPaddingMethod)
    template <class Visit> void visit_fields(Visit &&visit) const { visit("keep_probability", keep_probability); visit("seed", seed); visit("mask_stride_in_pixels", mask_stride_in_pixels); visit("label", label); visit("offset", offset); visit("edge_mode", edge_mode); visit("source_feature_channel_offset", source_feature_channel_offset); visit("source_feature_channel_max_count", source_feature_channel_max_count); visit("clip_rect", clip_rect); visit("destination_feature_channel_offset", destination_feature_channel_offset); visit("padding", padding); }
};
using Dropout = DropoutOptions<"Dropout">; ///< Keep each element with a given probability p and divide it by p, or set it to 0.

/// The options of MPSCNNDropoutGradient.
template <detail::ClassName Name> struct DropoutGradientOptions {
    static constexpr const char *kernel_class = Name.text;
    double keep_probability = 0.9990000128746033; ///< share of the elements that are kept, above 0, below 1
    std::int64_t seed = 0; ///< seed of the random numbers: the same seed gives the same mask
    std::array<std::int64_t, 3> mask_stride_in_pixels{1, 1, 1}; ///< (x, y, channels): 1, or 0 where one element of the mask serves the whole axis
    std::string label{}; ///< a name for messages
    std::array<std::int64_t, 3> primary_offset{0, 0, 0}; ///< (x, y, z): position in the primary source of the first pixel written
    EdgeMode primary_edge_mode = EdgeMode::zero; ///< value of reads outside the primary source: 'zero' or 'clamp'
    std::int64_t primary_source_feature_channel_offset = 0; ///< first feature channel read of the primary source, a multiple of 4
    std::int64_t primary_source_feature_channel_max_count = INT64_MAX; ///< maximum number of feature channels read of the primary source
    std::array<std::int64_t, 3> secondary_offset{0, 0, 0}; ///< (x, y, z): position in the secondary source of the first pixel written
    EdgeMode secondary_edge_mode = EdgeMode::zero; ///< value of reads outside the secondary source: 'zero' or 'clamp'
    std::int64_t secondary_source_feature_channel_offset = 0; ///< first feature channel read of the secondary source, a multiple of 4
    std::int64_t secondary_source_feature_channel_max_count = INT64_MAX; ///< maximum number of feature channels read of the secondary source
    std::optional<std::array<std::int64_t, 6>> clip_rect{}; ///< (x, y, z, width, height, depth): part of the destination that may be written; empty: all of it
    std::int64_t destination_feature_channel_offset = 0; ///< first feature channel written, a multiple of 4
    std::int64_t padding = 16; ///< size and place of results that the kernel makes itself (MPSNNPaddingMethod)
    std::int64_t kernel_offset_x = 0; ///< columns by which the window is moved over the gradient with stride - 1 zeros between its pixels
    std::int64_t kernel_offset_y = 0; ///< rows by which the window is moved in the same way
    std::string gradient_of = "source"; ///< 'source', or the weight whose gradient is the result
    template <class Visit> void visit_fields(Visit &&visit) const { visit("keep_probability", keep_probability); visit("seed", seed); visit("mask_stride_in_pixels", mask_stride_in_pixels); visit("label", label); visit("primary_offset", primary_offset); visit("primary_edge_mode", primary_edge_mode); visit("primary_source_feature_channel_offset", primary_source_feature_channel_offset); visit("primary_source_feature_channel_max_count", primary_source_feature_channel_max_count); visit("secondary_offset", secondary_offset); visit("secondary_edge_mode", secondary_edge_mode); visit("secondary_source_feature_channel_offset", secondary_source_feature_channel_offset); visit("secondary_source_feature_channel_max_count", secondary_source_feature_channel_max_count); visit("clip_rect", clip_rect); visit("destination_feature_channel_offset", destination_feature_channel_offset); visit("padding", padding); visit("kernel_offset_x", kernel_offset_x); visit("kernel_offset_y", kernel_offset_y); visit("gradient_of", gradient_of); }
};
using DropoutGradient = DropoutGradientOptions<"DropoutGradient">; ///< Compute the gradient of a `Dropout`: that of each kept element divided by the probability, otherwise 0.

/// The options of MPSNNForwardLoss, MPSCNNLoss, MPSNNLossGradient.
template <detail::ClassName Name> struct ForwardLossOptions {
    static constexpr const char *kernel_class = Name.text;
    ForwardLossLossType loss_type = ForwardLossLossType::mean_squared_error; ///< how each element's loss is computed
    ForwardLossReductionType reduction_type = ForwardLossReductionType::none; ///< how the losses of the elements are combined
    bool reduce_across_batch = false; ///< whether there is one loss for all images of a batch, or one for each
    double weight = 1.0; ///< factor of every element
    double label_smoothing = 0.0; ///< share of each label that all classes get, 0 to 1
    std::int64_t number_of_classes = 1; ///< the number of classes that share label_smoothing in softmax_cross_entropy
    double epsilon = 1.0000000116860974e-07; ///< log: added before logarithms
    double delta = 1.0; ///< huber: the largest error with a quadratic loss
    std::string label{}; ///< a name for messages
    template <class Visit> void visit_fields(Visit &&visit) const { visit("loss_type", loss_type); visit("reduction_type", reduction_type); visit("reduce_across_batch", reduce_across_batch); visit("weight", weight); visit("label_smoothing", label_smoothing); visit("number_of_classes", number_of_classes); visit("epsilon", epsilon); visit("delta", delta); visit("label", label); }
};
using ForwardLoss = ForwardLossOptions<"ForwardLoss">; ///< Compute the loss of a prediction, but not the gradient, which `LossGradient` computes.
using Loss = ForwardLossOptions<"Loss">; ///< Compute the loss of a prediction, and the gradient of the prediction.
using LossGradient = ForwardLossOptions<"LossGradient">; ///< Compute the gradient of a prediction from the gradient of its loss.

/// The options of MPSCNNFullyConnected.
template <detail::ClassName Name> struct FullyConnectedOptions {
    static constexpr const char *kernel_class = Name.text;
    std::int64_t kernel_width = 1; ///< width of the source
    std::int64_t kernel_height = 1; ///< height of the source
    std::int64_t input_feature_channels = 0; ///< feature channels of the source
    std::int64_t output_feature_channels = 0; ///< number of results
    std::optional<NeuronDescriptor> fused_neuron_descriptor{}; ///< neuron applied to the result; empty: what the class has by itself
    std::string label{}; ///< a name for messages
    std::array<std::int64_t, 3> offset{0, 0, 0}; ///< (x, y, z): position in the source of the first pixel written, for a kernel with a window of its centre tap; z is the first image
    EdgeMode edge_mode = EdgeMode::zero; ///< value of reads outside the source: 'zero' or 'clamp' (the nearest pixel); Pad has more modes
    std::int64_t source_feature_channel_offset = 0; ///< first feature channel read, a multiple of 4
    std::int64_t source_feature_channel_max_count = INT64_MAX; ///< maximum number of feature channels read
    std::optional<std::array<std::int64_t, 6>> clip_rect{}; ///< (x, y, z, width, height, depth): part of the destination that may be written; empty: all of it
    std::int64_t destination_feature_channel_offset = 0; ///< first feature channel written, a multiple of 4
    std::int64_t padding = 0; ///< size and place of results that the kernel makes itself (MPSNNPaddingMethod)
    template <class Visit> void visit_fields(Visit &&visit) const { visit("kernel_width", kernel_width); visit("kernel_height", kernel_height); visit("input_feature_channels", input_feature_channels); visit("output_feature_channels", output_feature_channels); visit("fused_neuron_descriptor", fused_neuron_descriptor); visit("label", label); visit("offset", offset); visit("edge_mode", edge_mode); visit("source_feature_channel_offset", source_feature_channel_offset); visit("source_feature_channel_max_count", source_feature_channel_max_count); visit("clip_rect", clip_rect); visit("destination_feature_channel_offset", destination_feature_channel_offset); visit("padding", padding); }
};
using FullyConnected = FullyConnectedOptions<"FullyConnected">; ///< Compute weighted sums of the whole source: a 1 x 1 image of `output_feature_channels`.

/// The options of MPSCNNFullyConnectedGradient.
template <detail::ClassName Name> struct FullyConnectedGradientOptions {
    static constexpr const char *kernel_class = Name.text;
    std::int64_t kernel_width = 1; ///< width of the source
    std::int64_t kernel_height = 1; ///< height of the source
    std::int64_t input_feature_channels = 0; ///< feature channels of the source
    std::int64_t output_feature_channels = 0; ///< number of results
    std::optional<NeuronDescriptor> fused_neuron_descriptor{}; ///< neuron applied to the result; empty: what the class has by itself
    std::string label{}; ///< a name for messages
    std::array<std::int64_t, 3> primary_offset{0, 0, 0}; ///< (x, y, z): position in the primary source of the first pixel written
    EdgeMode primary_edge_mode = EdgeMode::zero; ///< value of reads outside the primary source: 'zero' or 'clamp'
    std::int64_t primary_source_feature_channel_offset = 0; ///< first feature channel read of the primary source, a multiple of 4
    std::int64_t primary_source_feature_channel_max_count = INT64_MAX; ///< maximum number of feature channels read of the primary source
    std::array<std::int64_t, 3> secondary_offset{0, 0, 0}; ///< (x, y, z): position in the secondary source of the first pixel written
    EdgeMode secondary_edge_mode = EdgeMode::zero; ///< value of reads outside the secondary source: 'zero' or 'clamp'
    std::int64_t secondary_source_feature_channel_offset = 0; ///< first feature channel read of the secondary source, a multiple of 4
    std::int64_t secondary_source_feature_channel_max_count = INT64_MAX; ///< maximum number of feature channels read of the secondary source
    std::optional<std::array<std::int64_t, 6>> clip_rect{}; ///< (x, y, z, width, height, depth): part of the destination that may be written; empty: all of it
    std::int64_t destination_feature_channel_offset = 0; ///< first feature channel written, a multiple of 4
    std::int64_t padding = 0; ///< size and place of results that the kernel makes itself (MPSNNPaddingMethod)
    std::int64_t kernel_offset_x = 0; ///< columns by which the window is moved over the gradient with stride - 1 zeros between its pixels
    std::int64_t kernel_offset_y = 0; ///< rows by which the window is moved in the same way
    std::string gradient_of = "source"; ///< 'source', or the weight whose gradient is the result
    template <class Visit> void visit_fields(Visit &&visit) const { visit("kernel_width", kernel_width); visit("kernel_height", kernel_height); visit("input_feature_channels", input_feature_channels); visit("output_feature_channels", output_feature_channels); visit("fused_neuron_descriptor", fused_neuron_descriptor); visit("label", label); visit("primary_offset", primary_offset); visit("primary_edge_mode", primary_edge_mode); visit("primary_source_feature_channel_offset", primary_source_feature_channel_offset); visit("primary_source_feature_channel_max_count", primary_source_feature_channel_max_count); visit("secondary_offset", secondary_offset); visit("secondary_edge_mode", secondary_edge_mode); visit("secondary_source_feature_channel_offset", secondary_source_feature_channel_offset); visit("secondary_source_feature_channel_max_count", secondary_source_feature_channel_max_count); visit("clip_rect", clip_rect); visit("destination_feature_channel_offset", destination_feature_channel_offset); visit("padding", padding); visit("kernel_offset_x", kernel_offset_x); visit("kernel_offset_y", kernel_offset_y); visit("gradient_of", gradient_of); }
};
using FullyConnectedGradient = FullyConnectedGradientOptions<"FullyConnectedGradient">; ///< Compute the gradients of a fully connected kernel's source, weights and bias terms.

/// The options of MPSNNGramMatrixCalculation.
template <detail::ClassName Name> struct GramMatrixCalculationOptions {
    static constexpr const char *kernel_class = Name.text;
    double alpha = 1.0; ///< factor of the sums
    std::string label{}; ///< a name for messages
    std::array<std::int64_t, 3> offset{0, 0, 0}; ///< (x, y, z): position in the source of the first pixel written, for a kernel with a window of its centre tap; z is the first image
    EdgeMode edge_mode = EdgeMode::zero; ///< value of reads outside the source: 'zero' or 'clamp' (the nearest pixel); Pad has more modes
    std::int64_t source_feature_channel_offset = 0; ///< first feature channel read, a multiple of 4
    std::int64_t source_feature_channel_max_count = INT64_MAX; ///< maximum number of feature channels read
    std::optional<std::array<std::int64_t, 6>> clip_rect{}; ///< (x, y, z, width, height, depth): part of the destination that may be written; empty: all of it
    std::int64_t destination_feature_channel_offset = 0; ///< first feature channel written, a multiple of 4
    std::int64_t padding = 16; ///< size and place of results that the kernel makes itself (MPSNNPaddingMethod)
    template <class Visit> void visit_fields(Visit &&visit) const { visit("alpha", alpha); visit("label", label); visit("offset", offset); visit("edge_mode", edge_mode); visit("source_feature_channel_offset", source_feature_channel_offset); visit("source_feature_channel_max_count", source_feature_channel_max_count); visit("clip_rect", clip_rect); visit("destination_feature_channel_offset", destination_feature_channel_offset); visit("padding", padding); }
};
using GramMatrixCalculation = GramMatrixCalculationOptions<"GramMatrixCalculation">; ///< Compute products of feature channels, summed over all pixels.

/// The options of MPSNNGramMatrixCalculationGradient.
template <detail::ClassName Name> struct GramMatrixCalculationGradientOptions {
    static constexpr const char *kernel_class = Name.text;
    double alpha = 1.0; ///< factor of the sums
    std::string label{}; ///< a name for messages
    std::array<std::int64_t, 3> primary_offset{0, 0, 0}; ///< (x, y, z): position in the primary source of the first pixel written
    EdgeMode primary_edge_mode = EdgeMode::zero; ///< value of reads outside the primary source: 'zero' or 'clamp'
    std::int64_t primary_source_feature_channel_offset = 0; ///< first feature channel read of the primary source, a multiple of 4
    std::int64_t primary_source_feature_channel_max_count = INT64_MAX; ///< maximum number of feature channels read of the primary source
    std::array<std::int64_t, 3> secondary_offset{0, 0, 0}; ///< (x, y, z): position in the secondary source of the first pixel written
    EdgeMode secondary_edge_mode = EdgeMode::zero; ///< value of reads outside the secondary source: 'zero' or 'clamp'
    std::int64_t secondary_source_feature_channel_offset = 0; ///< first feature channel read of the secondary source, a multiple of 4
    std::int64_t secondary_source_feature_channel_max_count = INT64_MAX; ///< maximum number of feature channels read of the secondary source
    std::optional<std::array<std::int64_t, 6>> clip_rect{}; ///< (x, y, z, width, height, depth): part of the destination that may be written; empty: all of it
    std::int64_t destination_feature_channel_offset = 0; ///< first feature channel written, a multiple of 4
    std::int64_t padding = 16; ///< size and place of results that the kernel makes itself (MPSNNPaddingMethod)
    std::int64_t kernel_offset_x = 0; ///< columns by which the window is moved over the gradient with stride - 1 zeros between its pixels
    std::int64_t kernel_offset_y = 0; ///< rows by which the window is moved in the same way
    std::string gradient_of = "source"; ///< 'source', or the weight whose gradient is the result
    template <class Visit> void visit_fields(Visit &&visit) const { visit("alpha", alpha); visit("label", label); visit("primary_offset", primary_offset); visit("primary_edge_mode", primary_edge_mode); visit("primary_source_feature_channel_offset", primary_source_feature_channel_offset); visit("primary_source_feature_channel_max_count", primary_source_feature_channel_max_count); visit("secondary_offset", secondary_offset); visit("secondary_edge_mode", secondary_edge_mode); visit("secondary_source_feature_channel_offset", secondary_source_feature_channel_offset); visit("secondary_source_feature_channel_max_count", secondary_source_feature_channel_max_count); visit("clip_rect", clip_rect); visit("destination_feature_channel_offset", destination_feature_channel_offset); visit("padding", padding); visit("kernel_offset_x", kernel_offset_x); visit("kernel_offset_y", kernel_offset_y); visit("gradient_of", gradient_of); }
};
using GramMatrixCalculationGradient = GramMatrixCalculationGradientOptions<"GramMatrixCalculationGradient">; ///< alpha * sum over f of (g[f, c] + g[c, f]) * x[f] for each pixel.

/// The options of MPSCNNGroupNormalization.
template <detail::ClassName Name> struct GroupNormalizationOptions {
    static constexpr const char *kernel_class = Name.text;
    std::int64_t number_of_feature_channels = 0; ///< feature channels of the source
    std::int64_t number_of_groups = 1; ///< groups of consecutive channels
    double epsilon = 1.1754943508222875e-38; ///< added to the variance, above zero
    std::string label{}; ///< a name for messages
    std::array<std::int64_t, 3> offset{0, 0, 0}; ///< (x, y, z): position in the source of the first pixel written, for a kernel with a window of its centre tap; z is the first image
    EdgeMode edge_mode = EdgeMode::zero; ///< value of reads outside the source: 'zero' or 'clamp' (the nearest pixel); Pad has more modes
    std::int64_t source_feature_channel_offset = 0; ///< first feature channel read, a multiple of 4
    std::int64_t source_feature_channel_max_count = INT64_MAX; ///< maximum number of feature channels read
    std::optional<std::array<std::int64_t, 6>> clip_rect{}; ///< (x, y, z, width, height, depth): part of the destination that may be written; empty: all of it
    std::int64_t destination_feature_channel_offset = 0; ///< first feature channel written, a multiple of 4
    std::int64_t padding = 16; ///< size and place of results that the kernel makes itself (MPSNNPaddingMethod)
    template <class Visit> void visit_fields(Visit &&visit) const { visit("number_of_feature_channels", number_of_feature_channels); visit("number_of_groups", number_of_groups); visit("epsilon", epsilon); visit("label", label); visit("offset", offset); visit("edge_mode", edge_mode); visit("source_feature_channel_offset", source_feature_channel_offset); visit("source_feature_channel_max_count", source_feature_channel_max_count); visit("clip_rect", clip_rect); visit("destination_feature_channel_offset", destination_feature_channel_offset); visit("padding", padding); }
};
using GroupNormalization = GroupNormalizationOptions<"GroupNormalization">; ///< Normalize groups of consecutive channels, otherwise like `InstanceNormalization`.

/// The options of MPSCNNGroupNormalizationGradient.
template <detail::ClassName Name> struct GroupNormalizationGradientOptions {
    static constexpr const char *kernel_class = Name.text;
    std::int64_t number_of_feature_channels = 0; ///< feature channels of the source
    std::int64_t number_of_groups = 1; ///< groups of consecutive channels
    double epsilon = 1.1754943508222875e-38; ///< added to the variance, above zero
    std::string label{}; ///< a name for messages
    std::array<std::int64_t, 3> primary_offset{0, 0, 0}; ///< (x, y, z): position in the primary source of the first pixel written
    EdgeMode primary_edge_mode = EdgeMode::zero; ///< value of reads outside the primary source: 'zero' or 'clamp'
    std::int64_t primary_source_feature_channel_offset = 0; ///< first feature channel read of the primary source, a multiple of 4
    std::int64_t primary_source_feature_channel_max_count = INT64_MAX; ///< maximum number of feature channels read of the primary source
    std::array<std::int64_t, 3> secondary_offset{0, 0, 0}; ///< (x, y, z): position in the secondary source of the first pixel written
    EdgeMode secondary_edge_mode = EdgeMode::zero; ///< value of reads outside the secondary source: 'zero' or 'clamp'
    std::int64_t secondary_source_feature_channel_offset = 0; ///< first feature channel read of the secondary source, a multiple of 4
    std::int64_t secondary_source_feature_channel_max_count = INT64_MAX; ///< maximum number of feature channels read of the secondary source
    std::optional<std::array<std::int64_t, 6>> clip_rect{}; ///< (x, y, z, width, height, depth): part of the destination that may be written; empty: all of it
    std::int64_t destination_feature_channel_offset = 0; ///< first feature channel written, a multiple of 4
    std::int64_t padding = 16; ///< size and place of results that the kernel makes itself (MPSNNPaddingMethod)
    std::int64_t kernel_offset_x = 0; ///< columns by which the window is moved over the gradient with stride - 1 zeros between its pixels
    std::int64_t kernel_offset_y = 0; ///< rows by which the window is moved in the same way
    std::string gradient_of = "source"; ///< 'source', or the weight whose gradient is the result
    template <class Visit> void visit_fields(Visit &&visit) const { visit("number_of_feature_channels", number_of_feature_channels); visit("number_of_groups", number_of_groups); visit("epsilon", epsilon); visit("label", label); visit("primary_offset", primary_offset); visit("primary_edge_mode", primary_edge_mode); visit("primary_source_feature_channel_offset", primary_source_feature_channel_offset); visit("primary_source_feature_channel_max_count", primary_source_feature_channel_max_count); visit("secondary_offset", secondary_offset); visit("secondary_edge_mode", secondary_edge_mode); visit("secondary_source_feature_channel_offset", secondary_source_feature_channel_offset); visit("secondary_source_feature_channel_max_count", secondary_source_feature_channel_max_count); visit("clip_rect", clip_rect); visit("destination_feature_channel_offset", destination_feature_channel_offset); visit("padding", padding); visit("kernel_offset_x", kernel_offset_x); visit("kernel_offset_y", kernel_offset_y); visit("gradient_of", gradient_of); }
};
using GroupNormalizationGradient = GroupNormalizationGradientOptions<"GroupNormalizationGradient">; ///< Compute the gradients of a `GroupNormalization`'s source, gamma and beta.

/// The options of MPSImageBilinearScale, MPSImageLanczosScale.
template <detail::ClassName Name> struct ImageBilinearScaleOptions {
    static constexpr const char *kernel_class = Name.text;
    std::optional<std::array<double, 4>> scale_transform{}; ///< (scale_x, scale_y, translate_x, translate_y) from source to destination positions; empty: the whole source becomes the whole destination
    std::int64_t resize_width = 0; ///< columns of results that the kernel makes; 0: source columns * scale_x
    std::int64_t resize_height = 0; ///< rows of results that the kernel makes; 0: source rows * scale_y
    std::string label{}; ///< a name for messages
    std::array<std::int64_t, 3> offset{0, 0, 0}; ///< (x, y, z): position in the source of the first pixel written, for a kernel with a window of its centre tap; z is the first image
    EdgeMode edge_mode = EdgeMode::clamp; ///< value of reads outside the source: 'zero' or 'clamp' (the nearest pixel); Pad has more modes
    std::int64_t source_feature_channel_offset = 0; ///< first feature channel read, a multiple of 4
    std::int64_t source_feature_channel_max_count = INT64_MAX; ///< maximum number of feature channels read
    std::optional<std::array<std::int64_t, 6>> clip_rect{}; ///< (x, y, z, width, height, depth): part of the destination that may be written; empty: all of it
    std::int64_t destination_feature_channel_offset = 0; ///< first feature channel written, a multiple of 4
    std::int64_t padding = 16; ///< size and place of results that the kernel makes itself (MPSNNPaddingMethod)
    template <class Visit> void visit_fields(Visit &&visit) const { visit("scale_transform", scale_transform); visit("resize_width", resize_width); visit("resize_height", resize_height); visit("label", label); visit("offset", offset); visit("edge_mode", edge_mode); visit("source_feature_channel_offset", source_feature_channel_offset); visit("source_feature_channel_max_count", source_feature_channel_max_count); visit("clip_rect", clip_rect); visit("destination_feature_channel_offset", destination_feature_channel_offset); visit("padding", padding); }
};
using ImageBilinearScale = ImageBilinearScaleOptions<"ImageBilinearScale">; ///< Bilinear interpolation between pixel centres without antialiasing.
using ImageLanczosScale = ImageBilinearScaleOptions<"ImageLanczosScale">; ///< Lanczos' filter with three lobes.

/// The options of MPSImageConversion.
template <detail::ClassName Name> struct ImageConversionOptions {
    static constexpr const char *kernel_class = Name.text;
    AlphaType source_alpha = AlphaType::alpha_is_one; ///< meaning of the source's alpha, and whether its colours are multiplied by it
    AlphaType destination_alpha = AlphaType::alpha_is_one; ///< the same of the destination
    std::vector<double> background_color{}; ///< behind the source where its alpha becomes one: in its colour space, a number for each colour channel; none: zeros
    ColorSpace source_color_space = ColorSpace::none; ///< colour space of the source; none: colours are not converted
    ColorSpace destination_color_space = ColorSpace::none; ///< colour space of the destination, if the source has one
    std::string label{}; ///< a name for messages
    std::array<std::int64_t, 3> offset{0, 0, 0}; ///< (x, y, z): position in the source of the first pixel written, for a kernel with a window of its centre tap; z is the first image
    EdgeMode edge_mode = EdgeMode::zero; ///< value of reads outside the source: 'zero' or 'clamp' (the nearest pixel); Pad has more modes
    std::int64_t source_feature_channel_offset = 0; ///< first feature channel read, a multiple of 4
    std::int64_t source_feature_channel_max_count = INT64_MAX; ///< maximum number of feature channels read
    std::optional<std::array<std::int64_t, 6>> clip_rect{}; ///< (x, y, z, width, height, depth): part of the destination that may be written; empty: all of it
    std::int64_t destination_feature_channel_offset = 0; ///< first feature channel written, a multiple of 4
    std::int64_t padding = 16; ///< size and place of results that the kernel makes itself (MPSNNPaddingMethod)
    template <class Visit> void visit_fields(Visit &&visit) const { visit("source_alpha", source_alpha); visit("destination_alpha", destination_alpha); visit("background_color", background_color); visit("source_color_space", source_color_space); visit("destination_color_space", destination_color_space); visit("label", label); visit("offset", offset); visit("edge_mode", edge_mode); visit("source_feature_channel_offset", source_feature_channel_offset); visit("source_feature_channel_max_count", source_feature_channel_max_count); visit("clip_rect", clip_rect); visit("destination_feature_channel_offset", destination_feature_channel_offset); visit("padding", padding); }
};
using ImageConversion = ImageConversionOptions<"ImageConversion">; ///< Convert an image to another alpha, colour space or format.

/// The options of MPSNNInitialGradient.
template <detail::ClassName Name> struct InitialGradientOptions {
    static constexpr const char *kernel_class = Name.text;
    std::string label{}; ///< a name for messages
    template <class Visit> void visit_fields(Visit &&visit) const { visit("label", label); }
};
using InitialGradient = InitialGradientOptions<"InitialGradient">; ///< Make an image of ones like the source: a loss's gradient with respect to itself.

/// The options of MPSCNNInstanceNormalization.
template <detail::ClassName Name> struct InstanceNormalizationOptions {
    static constexpr const char *kernel_class = Name.text;
    std::int64_t number_of_feature_channels = 0; ///< feature channels of the source
    double epsilon = 1.1754943508222875e-38; ///< added to the variance, above zero
    std::string label{}; ///< a name for messages
    std::array<std::int64_t, 3> offset{0, 0, 0}; ///< (x, y, z): position in the source of the first pixel written, for a kernel with a window of its centre tap; z is the first image
    EdgeMode edge_mode = EdgeMode::zero; ///< value of reads outside the source: 'zero' or 'clamp' (the nearest pixel); Pad has more modes
    std::int64_t source_feature_channel_offset = 0; ///< first feature channel read, a multiple of 4
    std::int64_t source_feature_channel_max_count = INT64_MAX; ///< maximum number of feature channels read
    std::optional<std::array<std::int64_t, 6>> clip_rect{}; ///< (x, y, z, width, height, depth): part of the destination that may be written; empty: all of it
    std::int64_t destination_feature_channel_offset = 0; ///< first feature channel written, a multiple of 4
    std::int64_t padding = 16; ///< size and place of results that the kernel makes itself (MPSNNPaddingMethod)
    template <class Visit> void visit_fields(Visit &&visit) const { visit("number_of_feature_channels", number_of_feature_channels); visit("epsilon", epsilon); visit("label", label); visit("offset", offset); visit("edge_mode", edge_mode); visit("source_feature_channel_offset", source_feature_channel_offset); visit("source_feature_channel_max_count", source_feature_channel_max_count); visit("clip_rect", clip_rect); visit("destination_feature_channel_offset", destination_feature_channel_offset); visit("padding", padding); }
};
using InstanceNormalization = InstanceNormalizationOptions<"InstanceNormalization">; ///< gamma (x - mean) / sqrt(variance + epsilon) + beta.

/// The options of MPSCNNInstanceNormalizationGradient.
template <detail::ClassName Name> struct InstanceNormalizationGradientOptions {
    static constexpr const char *kernel_class = Name.text;
    std::int64_t number_of_feature_channels = 0; ///< feature channels of the source
    double epsilon = 1.1754943508222875e-38; ///< added to the variance, above zero
    std::string label{}; ///< a name for messages
    std::array<std::int64_t, 3> primary_offset{0, 0, 0}; ///< (x, y, z): position in the primary source of the first pixel written
    EdgeMode primary_edge_mode = EdgeMode::zero; ///< value of reads outside the primary source: 'zero' or 'clamp'
    std::int64_t primary_source_feature_channel_offset = 0; ///< first feature channel read of the primary source, a multiple of 4
    std::int64_t primary_source_feature_channel_max_count = INT64_MAX; ///< maximum number of feature channels read of the primary source
    std::array<std::int64_t, 3> secondary_offset{0, 0, 0}; ///< (x, y, z): position in the secondary source of the first pixel written
    EdgeMode secondary_edge_mode = EdgeMode::zero; ///< value of reads outside the secondary source: 'zero' or 'clamp'
    std::int64_t secondary_source_feature_channel_offset = 0; ///< first feature channel read of the secondary source, a multiple of 4
    std::int64_t secondary_source_feature_channel_max_count = INT64_MAX; ///< maximum number of feature channels read of the secondary source
    std::optional<std::array<std::int64_t, 6>> clip_rect{}; ///< (x, y, z, width, height, depth): part of the destination that may be written; empty: all of it
    std::int64_t destination_feature_channel_offset = 0; ///< first feature channel written, a multiple of 4
    std::int64_t padding = 16; ///< size and place of results that the kernel makes itself (MPSNNPaddingMethod)
    std::int64_t kernel_offset_x = 0; ///< columns by which the window is moved over the gradient with stride - 1 zeros between its pixels
    std::int64_t kernel_offset_y = 0; ///< rows by which the window is moved in the same way
    std::string gradient_of = "source"; ///< 'source', or the weight whose gradient is the result
    template <class Visit> void visit_fields(Visit &&visit) const { visit("number_of_feature_channels", number_of_feature_channels); visit("epsilon", epsilon); visit("label", label); visit("primary_offset", primary_offset); visit("primary_edge_mode", primary_edge_mode); visit("primary_source_feature_channel_offset", primary_source_feature_channel_offset); visit("primary_source_feature_channel_max_count", primary_source_feature_channel_max_count); visit("secondary_offset", secondary_offset); visit("secondary_edge_mode", secondary_edge_mode); visit("secondary_source_feature_channel_offset", secondary_source_feature_channel_offset); visit("secondary_source_feature_channel_max_count", secondary_source_feature_channel_max_count); visit("clip_rect", clip_rect); visit("destination_feature_channel_offset", destination_feature_channel_offset); visit("padding", padding); visit("kernel_offset_x", kernel_offset_x); visit("kernel_offset_y", kernel_offset_y); visit("gradient_of", gradient_of); }
};
using InstanceNormalizationGradient = InstanceNormalizationGradientOptions<"InstanceNormalizationGradient">; ///< Compute the gradients of an instance normalization's source, gamma and beta.

/// The options of MPSCNNLocalContrastNormalization.
template <detail::ClassName Name> struct LocalContrastNormalizationOptions {
    static constexpr const char *kernel_class = Name.text;
    std::int64_t kernel_width = 5; ///< columns of the window; must equal its rows
    std::int64_t kernel_height = 5; ///< rows of the window
    double alpha = 0.0; ///< factor of the mean square or variance
    double beta = 0.5; ///< exponent
    double delta = 0.0009765625; ///< added to the scaled mean square or variance
    double p0 = 1.0; ///< factor of the mean that is subtracted
    double pm = 0.0; ///< added to the result
    double ps = 1.0; ///< factor of the result
    std::string label{}; ///< a name for messages
    std::array<std::int64_t, 3> offset{0, 0, 0}; ///< (x, y, z): position in the source of the first pixel written, for a kernel with a window of its centre tap; z is the first image
    EdgeMode edge_mode = EdgeMode::zero; ///< value of reads outside the source: 'zero' or 'clamp' (the nearest pixel); Pad has more modes
    std::int64_t source_feature_channel_offset = 0; ///< first feature channel read, a multiple of 4
    std::int64_t source_feature_channel_max_count = INT64_MAX; ///< maximum number of feature channels read
    std::optional<std::array<std::int64_t, 6>> clip_rect{}; ///< (x, y, z, width, height, depth): part of the destination that may be written; empty: all of it
    std::int64_t destination_feature_channel_offset = 0; ///< first feature channel written, a multiple of 4
    std::int64_t padding = 16; ///< size and place of results that the kernel makes itself (MPSNNPaddingMethod)
    template <class Visit> void visit_fields(Visit &&visit) const { visit("kernel_width", kernel_width); visit("kernel_height", kernel_height); visit("alpha", alpha); visit("beta", beta); visit("delta", delta); visit("p0", p0); visit("pm", pm); visit("ps", ps); visit("label", label); visit("offset", offset); visit("edge_mode", edge_mode); visit("source_feature_channel_offset", source_feature_channel_offset); visit("source_feature_channel_max_count", source_feature_channel_max_count); visit("clip_rect", clip_rect); visit("destination_feature_channel_offset", destination_feature_channel_offset); visit("padding", padding); }
};
using LocalContrastNormalization = LocalContrastNormalizationOptions<"LocalContrastNormalization">; ///< pm + ps (x - p0 mean) / (delta + alpha * variance)^beta.

/// The options of MPSCNNLocalContrastNormalizationGradient.
template <detail::ClassName Name> struct LocalContrastNormalizationGradientOptions {
    static constexpr const char *kernel_class = Name.text;
    std::int64_t kernel_width = 5; ///< columns of the window; must equal its rows
    std::int64_t kernel_height = 5; ///< rows of the window
    double alpha = 0.0; ///< factor of the mean square or variance
    double beta = 0.5; ///< exponent
    double delta = 0.0009765625; ///< added to the scaled mean square or variance
    double p0 = 1.0; ///< factor of the mean that is subtracted
    double pm = 0.0; ///< added to the result
    double ps = 1.0; ///< factor of the result
    std::string label{}; ///< a name for messages
    std::array<std::int64_t, 3> primary_offset{0, 0, 0}; ///< (x, y, z): position in the primary source of the first pixel written
    EdgeMode primary_edge_mode = EdgeMode::zero; ///< value of reads outside the primary source: 'zero' or 'clamp'
    std::int64_t primary_source_feature_channel_offset = 0; ///< first feature channel read of the primary source, a multiple of 4
    std::int64_t primary_source_feature_channel_max_count = INT64_MAX; ///< maximum number of feature channels read of the primary source
    std::array<std::int64_t, 3> secondary_offset{0, 0, 0}; ///< (x, y, z): position in the secondary source of the first pixel written
    EdgeMode secondary_edge_mode = EdgeMode::zero; ///< value of reads outside the secondary source: 'zero' or 'clamp'
    std::int64_t secondary_source_feature_channel_offset = 0; ///< first feature channel read of the secondary source, a multiple of 4
    std::int64_t secondary_source_feature_channel_max_count = INT64_MAX; ///< maximum number of feature channels read of the secondary source
    std::optional<std::array<std::int64_t, 6>> clip_rect{}; ///< (x, y, z, width, height, depth): part of the destination that may be written; empty: all of it
    std::int64_t destination_feature_channel_offset = 0; ///< first feature channel written, a multiple of 4
    std::int64_t padding = 16; ///< size and place of results that the kernel makes itself (MPSNNPaddingMethod)
    std::int64_t kernel_offset_x = 0; ///< columns by which the window is moved over the gradient with stride - 1 zeros between its pixels
    std::int64_t kernel_offset_y = 0; ///< rows by which the window is moved in the same way
    std::string gradient_of = "source"; ///< 'source', or the weight whose gradient is the result
    template <class Visit> void visit_fields(Visit &&visit) const { visit("kernel_width", kernel_width); visit("kernel_height", kernel_height); visit("alpha", alpha); visit("beta", beta); visit("delta", delta); visit("p0", p0); visit("pm", pm); visit("ps", ps); visit("label", label); visit("primary_offset", primary_offset); visit("primary_edge_mode", primary_edge_mode); visit("primary_source_feature_channel_offset", primary_source_feature_channel_offset); visit("primary_source_feature_channel_max_count", primary_source_feature_channel_max_count); visit("secondary_offset", secondary_offset); visit("secondary_edge_mode", secondary_edge_mode); visit("secondary_source_feature_channel_offset", secondary_source_feature_channel_offset); visit("secondary_source_feature_channel_max_count", secondary_source_feature_channel_max_count); visit("clip_rect", clip_rect); visit("destination_feature_channel_offset", destination_feature_channel_offset); visit("padding", padding); visit("kernel_offset_x", kernel_offset_x); visit("kernel_offset_y", kernel_offset_y); visit("gradient_of", gradient_of); }
};
using LocalContrastNormalizationGradient = LocalContrastNormalizationGradientOptions<"LocalContrastNormalizationGradient">; ///< Compute the gradient of a local contrast normalization's source.

/// The options of MPSCNNLogSoftMaxGradient, MPSCNNSoftMaxGradient.
template <detail::ClassName Name> struct LogSoftMaxGradientOptions {
    static constexpr const char *kernel_class = Name.text;
    std::string label{}; ///< a name for messages
    std::array<std::int64_t, 3> primary_offset{0, 0, 0}; ///< (x, y, z): position in the primary source of the first pixel written
    EdgeMode primary_edge_mode = EdgeMode::zero; ///< value of reads outside the primary source: 'zero' or 'clamp'
    std::int64_t primary_source_feature_channel_offset = 0; ///< first feature channel read of the primary source, a multiple of 4
    std::int64_t primary_source_feature_channel_max_count = INT64_MAX; ///< maximum number of feature channels read of the primary source
    std::array<std::int64_t, 3> secondary_offset{0, 0, 0}; ///< (x, y, z): position in the secondary source of the first pixel written
    EdgeMode secondary_edge_mode = EdgeMode::zero; ///< value of reads outside the secondary source: 'zero' or 'clamp'
    std::int64_t secondary_source_feature_channel_offset = 0; ///< first feature channel read of the secondary source, a multiple of 4
    std::int64_t secondary_source_feature_channel_max_count = INT64_MAX; ///< maximum number of feature channels read of the secondary source
    std::optional<std::array<std::int64_t, 6>> clip_rect{}; ///< (x, y, z, width, height, depth): part of the destination that may be written; empty: all of it
    std::int64_t destination_feature_channel_offset = 0; ///< first feature channel written, a multiple of 4
    std::int64_t padding = 16; ///< size and place of results that the kernel makes itself (MPSNNPaddingMethod)
    template <class Visit> void visit_fields(Visit &&visit) const { visit("label", label); visit("primary_offset", primary_offset); visit("primary_edge_mode", primary_edge_mode); visit("primary_source_feature_channel_offset", primary_source_feature_channel_offset); visit("primary_source_feature_channel_max_count", primary_source_feature_channel_max_count); visit("secondary_offset", secondary_offset); visit("secondary_edge_mode", secondary_edge_mode); visit("secondary_source_feature_channel_offset", secondary_source_feature_channel_offset); visit("secondary_source_feature_channel_max_count", secondary_source_feature_channel_max_count); visit("clip_rect", clip_rect); visit("destination_feature_channel_offset", destination_feature_channel_offset); visit("padding", padding); }
};
using LogSoftMaxGradient = LogSoftMaxGradientOptions<"LogSoftMaxGradient">; ///< g - exp(y) sum(g) over the feature channels of each pixel.
using SoftMaxGradient = LogSoftMaxGradientOptions<"SoftMaxGradient">; ///< y (g - sum(g y)) over the feature channels of each pixel.

/// The options of MPSCNNNeuron, MPSCNNNeuronAbsolute, MPSCNNNeuronELU, MPSCNNNeuronExponential, MPSCNNNeuronHardSigmoid, MPSCNNNeuronLinear, MPSCNNNeuronLogarithm, MPSCNNNeuronPReLU, MPSCNNNeuronPower, MPSCNNNeuronReLU, MPSCNNNeuronReLUN, MPSCNNNeuronSigmoid, MPSCNNNeuronSoftPlus, MPSCNNNeuronSoftSign, MPSCNNNeuronTanH.
template <detail::ClassName Name> struct NeuronOptions {
    static constexpr const char *kernel_class = Name.text;
    std::optional<NeuronDescriptor> neuron_descriptor{}; ///< which function, and its parameters; empty: what the class has by itself
    std::int64_t data_count = 0; ///< number of slopes of 'prelu', one for each feature channel
    std::string label{}; ///< a name for messages
    std::array<std::int64_t, 3> offset{0, 0, 0}; ///< (x, y, z): position in the source of the first pixel written, for a kernel with a window of its centre tap; z is the first image
    EdgeMode edge_mode = EdgeMode::zero; ///< value of reads outside the source: 'zero' or 'clamp' (the nearest pixel); Pad has more modes
    std::int64_t source_feature_channel_offset = 0; ///< first feature channel read, a multiple of 4
    std::int64_t source_feature_channel_max_count = INT64_MAX; ///< maximum number of feature channels read
    std::optional<std::array<std::int64_t, 6>> clip_rect{}; ///< (x, y, z, width, height, depth): part of the destination that may be written; empty: all of it
    std::int64_t destination_feature_channel_offset = 0; ///< first feature channel written, a multiple of 4
    std::int64_t padding = 16; ///< size and place of results that the kernel makes itself (MPSNNPaddingMethod)
    template <class Visit> void visit_fields(Visit &&visit) const { visit("neuron_descriptor", neuron_descriptor); visit("data_count", data_count); visit("label", label); visit("offset", offset); visit("edge_mode", edge_mode); visit("source_feature_channel_offset", source_feature_channel_offset); visit("source_feature_channel_max_count", source_feature_channel_max_count); visit("clip_rect", clip_rect); visit("destination_feature_channel_offset", destination_feature_channel_offset); visit("padding", padding); }
};
using Neuron = NeuronOptions<"Neuron">; ///< An activation function of every element: see `NeuronDescriptor`.
using NeuronAbsolute = NeuronOptions<"NeuronAbsolute">; ///< |x|.
using NeuronELU = NeuronOptions<"NeuronELU">; ///< For x >= 0 x, else a (e^x - 1).
using NeuronExponential = NeuronOptions<"NeuronExponential">; ///< c^(a x + b), c = -1 meaning e.
using NeuronHardSigmoid = NeuronOptions<"NeuronHardSigmoid">; ///< The line a x + b limited to 0 to 1.
using NeuronLinear = NeuronOptions<"NeuronLinear">; ///< The line a x + b.
using NeuronLogarithm = NeuronOptions<"NeuronLogarithm">; ///< log_c(a x + b), c = -1 meaning e.
using NeuronPReLU = NeuronOptions<"NeuronPReLU">; ///< For x >= 0 x, else a[channel] x.
using NeuronPower = NeuronOptions<"NeuronPower">; ///< (a x + b)^c.
using NeuronReLU = NeuronOptions<"NeuronReLU">; ///< For x >= 0 x, else a x.
using NeuronReLUN = NeuronOptions<"NeuronReLUN">; ///< min(x for x >= 0, else a x; b).
using NeuronSigmoid = NeuronOptions<"NeuronSigmoid">; ///< 1 / (1 + e^-x).
using NeuronSoftPlus = NeuronOptions<"NeuronSoftPlus">; ///< The curve a ln(1 + e^(b x)).
using NeuronSoftSign = NeuronOptions<"NeuronSoftSign">; ///< The quotient x / (1 + |x|).
using NeuronTanH = NeuronOptions<"NeuronTanH">; ///< The curve a tanh(b x).

/// The options of MPSCNNNeuronGradient.
template <detail::ClassName Name> struct NeuronGradientOptions {
    static constexpr const char *kernel_class = Name.text;
    std::optional<NeuronDescriptor> neuron_descriptor{}; ///< which function, and its parameters; empty: what the class has by itself
    std::int64_t data_count = 0; ///< number of slopes of 'prelu', one for each feature channel
    std::string label{}; ///< a name for messages
    std::array<std::int64_t, 3> primary_offset{0, 0, 0}; ///< (x, y, z): position in the primary source of the first pixel written
    EdgeMode primary_edge_mode = EdgeMode::zero; ///< value of reads outside the primary source: 'zero' or 'clamp'
    std::int64_t primary_source_feature_channel_offset = 0; ///< first feature channel read of the primary source, a multiple of 4
    std::int64_t primary_source_feature_channel_max_count = INT64_MAX; ///< maximum number of feature channels read of the primary source
    std::array<std::int64_t, 3> secondary_offset{0, 0, 0}; ///< (x, y, z): position in the secondary source of the first pixel written
    EdgeMode secondary_edge_mode = EdgeMode::zero; ///< value of reads outside the secondary source: 'zero' or 'clamp'
    std::int64_t secondary_source_feature_channel_offset = 0; ///< first feature channel read of the secondary source, a multiple of 4
    std::int64_t secondary_source_feature_channel_max_count = INT64_MAX; ///< maximum number of feature channels read of the secondary source
    std::optional<std::array<std::int64_t, 6>> clip_rect{}; ///< (x, y, z, width, height, depth): part of the destination that may be written; empty: all of it
    std::int64_t destination_feature_channel_offset = 0; ///< first feature channel written, a multiple of 4
    std::int64_t padding = 16; ///< size and place of results that the kernel makes itself (MPSNNPaddingMethod)
    std::int64_t kernel_offset_x = 0; ///< columns by which the window is moved over the gradient with stride - 1 zeros between its pixels
    std::int64_t kernel_offset_y = 0; ///< rows by which the window is moved in the same way
    std::string gradient_of = "source"; ///< 'source', or the weight whose gradient is the result
    template <class Visit> void visit_fields(Visit &&visit) const { visit("neuron_descriptor", neuron_descriptor); visit("data_count", data_count); visit("label", label); visit("primary_offset", primary_offset); visit("primary_edge_mode", primary_edge_mode); visit("primary_source_feature_channel_offset", primary_source_feature_channel_offset); visit("primary_source_feature_channel_max_count", primary_source_feature_channel_max_count); visit("secondary_offset", secondary_offset); visit("secondary_edge_mode", secondary_edge_mode); visit("secondary_source_feature_channel_offset", secondary_source_feature_channel_offset); visit("secondary_source_feature_channel_max_count", secondary_source_feature_channel_max_count); visit("clip_rect", clip_rect); visit("destination_feature_channel_offset", destination_feature_channel_offset); visit("padding", padding); visit("kernel_offset_x", kernel_offset_x); visit("kernel_offset_y", kernel_offset_y); visit("gradient_of", gradient_of); }
};
using NeuronGradient = NeuronGradientOptions<"NeuronGradient">; ///< Multiply the gradient by the activation function's derivative at the source image.

/// The options of MPSNNOptimizerAdam.
template <detail::ClassName Name> struct OptimizerAdamOptions {
    static constexpr const char *kernel_class = Name.text;
    double beta1 = 0.9; ///< share of the average of gradients that is kept, at least 0 and below 1
    double beta2 = 0.999; ///< share of the average of squares that is kept, at least 0 and below 1
    double epsilon = 9.99999993922529e-09; ///< added to the root
    OptimizerAdamResult result = OptimizerAdamResult::values; ///< which result is computed: 'values' or one of the moments
    double learning_rate = 0.0010000000474974513; ///< size of the step, at least 0
    double gradient_rescale = 1.0; ///< factor of the gradient, once it is clipped
    bool apply_gradient_clipping = false; ///< whether the gradient is limited
    double gradient_clip_min = -1.0; ///< lower limit of the gradient
    double gradient_clip_max = 1.0; ///< upper limit of the gradient
    OptimizerAdamRegularizationType regularization_type = OptimizerAdamRegularizationType::none; ///< 'none', 'l1' or 'l2'
    double regularization_scale = 0.0; ///< factor of the regularization, at least 0
    std::int64_t time_step = 0; ///< number of steps that were made before
    std::string label{}; ///< a name for messages
    template <class Visit> void visit_fields(Visit &&visit) const { visit("beta1", beta1); visit("beta2", beta2); visit("epsilon", epsilon); visit("result", result); visit("learning_rate", learning_rate); visit("gradient_rescale", gradient_rescale); visit("apply_gradient_clipping", apply_gradient_clipping); visit("gradient_clip_min", gradient_clip_min); visit("gradient_clip_max", gradient_clip_max); visit("regularization_type", regularization_type); visit("regularization_scale", regularization_scale); visit("time_step", time_step); visit("label", label); }
};
using OptimizerAdam = OptimizerAdamOptions<"OptimizerAdam">; ///< value - rate * momentum / (sqrt(velocity) + epsilon).

/// The options of MPSNNOptimizerRMSProp.
template <detail::ClassName Name> struct OptimizerRMSPropOptions {
    static constexpr const char *kernel_class = Name.text;
    double decay = 0.9; ///< share of the average of squares that is kept, 0 to 1
    double epsilon = 9.99999993922529e-09; ///< added to the root
    OptimizerAdamResult result = OptimizerAdamResult::values; ///< which result is computed: 'values' or one of the moments
    double learning_rate = 0.0010000000474974513; ///< size of the step, at least 0
    double gradient_rescale = 1.0; ///< factor of the gradient, once it is clipped
    bool apply_gradient_clipping = false; ///< whether the gradient is limited
    double gradient_clip_min = -1.0; ///< lower limit of the gradient
    double gradient_clip_max = 1.0; ///< upper limit of the gradient
    OptimizerAdamRegularizationType regularization_type = OptimizerAdamRegularizationType::none; ///< 'none', 'l1' or 'l2'
    double regularization_scale = 0.0; ///< factor of the regularization, at least 0
    std::string label{}; ///< a name for messages
    template <class Visit> void visit_fields(Visit &&visit) const { visit("decay", decay); visit("epsilon", epsilon); visit("result", result); visit("learning_rate", learning_rate); visit("gradient_rescale", gradient_rescale); visit("apply_gradient_clipping", apply_gradient_clipping); visit("gradient_clip_min", gradient_clip_min); visit("gradient_clip_max", gradient_clip_max); visit("regularization_type", regularization_type); visit("regularization_scale", regularization_scale); visit("label", label); }
};
using OptimizerRMSProp = OptimizerRMSPropOptions<"OptimizerRMSProp">; ///< value - learning_rate * g / (sqrt(velocity) + epsilon).

/// The options of MPSNNOptimizerStochasticGradientDescent.
template <detail::ClassName Name> struct OptimizerStochasticGradientDescentOptions {
    static constexpr const char *kernel_class = Name.text;
    double momentum_scale = 0.0; ///< share of the moment that is kept, 0 to 1; 0: there is none
    bool use_nesterov_momentum = false; ///< whether the moment is Nesterov's
    OptimizerAdamResult result = OptimizerAdamResult::values; ///< which result is computed: 'values' or one of the moments
    double learning_rate = 0.0010000000474974513; ///< size of the step, at least 0
    double gradient_rescale = 1.0; ///< factor of the gradient, once it is clipped
    bool apply_gradient_clipping = false; ///< whether the gradient is limited
    double gradient_clip_min = -1.0; ///< lower limit of the gradient
    double gradient_clip_max = 1.0; ///< upper limit of the gradient
    OptimizerAdamRegularizationType regularization_type = OptimizerAdamRegularizationType::none; ///< 'none', 'l1' or 'l2'
    double regularization_scale = 0.0; ///< factor of the regularization, at least 0
    std::string label{}; ///< a name for messages
    template <class Visit> void visit_fields(Visit &&visit) const { visit("momentum_scale", momentum_scale); visit("use_nesterov_momentum", use_nesterov_momentum); visit("result", result); visit("learning_rate", learning_rate); visit("gradient_rescale", gradient_rescale); visit("apply_gradient_clipping", apply_gradient_clipping); visit("gradient_clip_min", gradient_clip_min); visit("gradient_clip_max", gradient_clip_max); visit("regularization_type", regularization_type); visit("regularization_scale", regularization_scale); visit("label", label); }
};
using OptimizerStochasticGradientDescent = OptimizerStochasticGradientDescentOptions<"OptimizerStochasticGradientDescent">; ///< value - moment, moment = momentum_scale * moment + learning_rate * g.

/// The options of MPSNNPad.
template <detail::ClassName Name> struct PadOptions {
    static constexpr const char *kernel_class = Name.text;
    std::vector<double> fill_value_array{}; ///< values of the channels written, for edge_mode 'constant'; they override fill_value
    std::array<std::int64_t, 3> padding_size_before{0, 0, 0}; ///< (x, y, channels) before the source
    std::array<std::int64_t, 3> padding_size_after{0, 0, 0}; ///< (x, y, channels) behind the source
    double fill_value = 0.0; ///< value of the border with edge_mode 'constant'
    std::string label{}; ///< a name for messages
    std::array<std::int64_t, 3> offset{0, 0, 0}; ///< (x, y, z): position in the source of the first pixel written, for a kernel with a window of its centre tap; z is the first image
    EdgeMode edge_mode = EdgeMode::zero; ///< value of reads outside the source: 'zero' or 'clamp' (the nearest pixel); Pad has more modes
    std::int64_t source_feature_channel_offset = 0; ///< first feature channel read, a multiple of 4
    std::int64_t source_feature_channel_max_count = INT64_MAX; ///< maximum number of feature channels read
    std::optional<std::array<std::int64_t, 6>> clip_rect{}; ///< (x, y, z, width, height, depth): part of the destination that may be written; empty: all of it
    std::int64_t destination_feature_channel_offset = 0; ///< first feature channel written, a multiple of 4
    std::int64_t padding = 16; ///< size and place of results that the kernel makes itself (MPSNNPaddingMethod)
    template <class Visit> void visit_fields(Visit &&visit) const { visit("fill_value_array", fill_value_array); visit("padding_size_before", padding_size_before); visit("padding_size_after", padding_size_after); visit("fill_value", fill_value); visit("label", label); visit("offset", offset); visit("edge_mode", edge_mode); visit("source_feature_channel_offset", source_feature_channel_offset); visit("source_feature_channel_max_count", source_feature_channel_max_count); visit("clip_rect", clip_rect); visit("destination_feature_channel_offset", destination_feature_channel_offset); visit("padding", padding); }
};
using Pad = PadOptions<"Pad">; ///< Add a border around an image and its channels.

/// The options of MPSNNPadGradient.
template <detail::ClassName Name> struct PadGradientOptions {
    static constexpr const char *kernel_class = Name.text;
    std::array<std::int64_t, 3> padding_size_before{0, 0, 0}; ///< (x, y, channels) before the source
    std::array<std::int64_t, 3> padding_size_after{0, 0, 0}; ///< (x, y, channels) behind the source
    std::string label{}; ///< a name for messages
    std::array<std::int64_t, 3> primary_offset{0, 0, 0}; ///< (x, y, z): position in the primary source of the first pixel written
    EdgeMode primary_edge_mode = EdgeMode::zero; ///< value of reads outside the primary source: 'zero' or 'clamp'
    std::int64_t primary_source_feature_channel_offset = 0; ///< first feature channel read of the primary source, a multiple of 4
    std::int64_t primary_source_feature_channel_max_count = INT64_MAX; ///< maximum number of feature channels read of the primary source
    std::array<std::int64_t, 3> secondary_offset{0, 0, 0}; ///< (x, y, z): position in the secondary source of the first pixel written
    EdgeMode secondary_edge_mode = EdgeMode::zero; ///< value of reads outside the secondary source: 'zero' or 'clamp'
    std::int64_t secondary_source_feature_channel_offset = 0; ///< first feature channel read of the secondary source, a multiple of 4
    std::int64_t secondary_source_feature_channel_max_count = INT64_MAX; ///< maximum number of feature channels read of the secondary source
    std::optional<std::array<std::int64_t, 6>> clip_rect{}; ///< (x, y, z, width, height, depth): part of the destination that may be written; empty: all of it
    std::int64_t destination_feature_channel_offset = 0; ///< first feature channel written, a multiple of 4
    std::int64_t padding = 16; ///< size and place of results that the kernel makes itself (MPSNNPaddingMethod)
    std::int64_t kernel_offset_x = 0; ///< columns by which the window is moved over the gradient with stride - 1 zeros between its pixels
    std::int64_t kernel_offset_y = 0; ///< rows by which the window is moved in the same way
    std::string gradient_of = "source"; ///< 'source', or the weight whose gradient is the result
    template <class Visit> void visit_fields(Visit &&visit) const { visit("padding_size_before", padding_size_before); visit("padding_size_after", padding_size_after); visit("label", label); visit("primary_offset", primary_offset); visit("primary_edge_mode", primary_edge_mode); visit("primary_source_feature_channel_offset", primary_source_feature_channel_offset); visit("primary_source_feature_channel_max_count", primary_source_feature_channel_max_count); visit("secondary_offset", secondary_offset); visit("secondary_edge_mode", secondary_edge_mode); visit("secondary_source_feature_channel_offset", secondary_source_feature_channel_offset); visit("secondary_source_feature_channel_max_count", secondary_source_feature_channel_max_count); visit("clip_rect", clip_rect); visit("destination_feature_channel_offset", destination_feature_channel_offset); visit("padding", padding); visit("kernel_offset_x", kernel_offset_x); visit("kernel_offset_y", kernel_offset_y); visit("gradient_of", gradient_of); }
};
using PadGradient = PadGradientOptions<"PadGradient">; ///< Add the gradient of the border to the pixels that it was copied from.

/// The options of MPSCNNPoolingAverage.
template <detail::ClassName Name> struct PoolingAverageOptions {
    static constexpr const char *kernel_class = Name.text;
    std::int64_t kernel_width = 1; ///< columns of the window
    std::int64_t kernel_height = 1; ///< rows of the window
    std::int64_t stride_x = 1; ///< source columns between destination columns (strideInPixelsX)
    std::int64_t stride_y = 1; ///< source rows between destination rows (strideInPixelsY)
    std::int64_t zero_pad_size_x = 0; ///< columns of zeros left and right of the image that count; edge_mode 'clamp' only
    std::int64_t zero_pad_size_y = 0; ///< rows of zeros above and below the image that count; edge_mode 'clamp' only
    std::string label{}; ///< a name for messages
    std::array<std::int64_t, 3> offset{0, 0, 0}; ///< (x, y, z): position in the source of the first pixel written, for a kernel with a window of its centre tap; z is the first image
    EdgeMode edge_mode = EdgeMode::zero; ///< value of reads outside the source: 'zero' or 'clamp' (the nearest pixel); Pad has more modes
    std::int64_t source_feature_channel_offset = 0; ///< first feature channel read, a multiple of 4
    std::int64_t source_feature_channel_max_count = INT64_MAX; ///< maximum number of feature channels read
    std::optional<std::array<std::int64_t, 6>> clip_rect{}; ///< (x, y, z, width, height, depth): part of the destination that may be written; empty: all of it
    std::int64_t destination_feature_channel_offset = 0; ///< first feature channel written, a multiple of 4
    std::int64_t padding = 16; ///< size and place of results that the kernel makes itself (MPSNNPaddingMethod)
    template <class Visit> void visit_fields(Visit &&visit) const { visit("kernel_width", kernel_width); visit("kernel_height", kernel_height); visit("stride_x", stride_x); visit("stride_y", stride_y); visit("zero_pad_size_x", zero_pad_size_x); visit("zero_pad_size_y", zero_pad_size_y); visit("label", label); visit("offset", offset); visit("edge_mode", edge_mode); visit("source_feature_channel_offset", source_feature_channel_offset); visit("source_feature_channel_max_count", source_feature_channel_max_count); visit("clip_rect", clip_rect); visit("destination_feature_channel_offset", destination_feature_channel_offset); visit("padding", padding); }
};
using PoolingAverage = PoolingAverageOptions<"PoolingAverage">; ///< Compute the mean of each window.

/// The options of MPSCNNPoolingAverageGradient.
template <detail::ClassName Name> struct PoolingAverageGradientOptions {
    static constexpr const char *kernel_class = Name.text;
    std::int64_t kernel_width = 1; ///< columns of the window
    std::int64_t kernel_height = 1; ///< rows of the window
    std::int64_t stride_x = 1; ///< source columns between destination columns (strideInPixelsX)
    std::int64_t stride_y = 1; ///< source rows between destination rows (strideInPixelsY)
    std::int64_t zero_pad_size_x = 0; ///< columns of zeros left and right of the image that count; edge_mode 'clamp' only
    std::int64_t zero_pad_size_y = 0; ///< rows of zeros above and below the image that count; edge_mode 'clamp' only
    std::string label{}; ///< a name for messages
    std::array<std::int64_t, 3> primary_offset{0, 0, 0}; ///< (x, y, z): position in the primary source of the first pixel written
    EdgeMode primary_edge_mode = EdgeMode::zero; ///< value of reads outside the primary source: 'zero' or 'clamp'
    std::int64_t primary_source_feature_channel_offset = 0; ///< first feature channel read of the primary source, a multiple of 4
    std::int64_t primary_source_feature_channel_max_count = INT64_MAX; ///< maximum number of feature channels read of the primary source
    std::array<std::int64_t, 3> secondary_offset{0, 0, 0}; ///< (x, y, z): position in the secondary source of the first pixel written
    EdgeMode secondary_edge_mode = EdgeMode::zero; ///< value of reads outside the secondary source: 'zero' or 'clamp'
    std::int64_t secondary_source_feature_channel_offset = 0; ///< first feature channel read of the secondary source, a multiple of 4
    std::int64_t secondary_source_feature_channel_max_count = INT64_MAX; ///< maximum number of feature channels read of the secondary source
    std::optional<std::array<std::int64_t, 6>> clip_rect{}; ///< (x, y, z, width, height, depth): part of the destination that may be written; empty: all of it
    std::int64_t destination_feature_channel_offset = 0; ///< first feature channel written, a multiple of 4
    std::int64_t padding = 16; ///< size and place of results that the kernel makes itself (MPSNNPaddingMethod)
    std::int64_t kernel_offset_x = 0; ///< columns by which the window is moved over the gradient with stride - 1 zeros between its pixels
    std::int64_t kernel_offset_y = 0; ///< rows by which the window is moved in the same way
    std::string gradient_of = "source"; ///< 'source', or the weight whose gradient is the result
    template <class Visit> void visit_fields(Visit &&visit) const { visit("kernel_width", kernel_width); visit("kernel_height", kernel_height); visit("stride_x", stride_x); visit("stride_y", stride_y); visit("zero_pad_size_x", zero_pad_size_x); visit("zero_pad_size_y", zero_pad_size_y); visit("label", label); visit("primary_offset", primary_offset); visit("primary_edge_mode", primary_edge_mode); visit("primary_source_feature_channel_offset", primary_source_feature_channel_offset); visit("primary_source_feature_channel_max_count", primary_source_feature_channel_max_count); visit("secondary_offset", secondary_offset); visit("secondary_edge_mode", secondary_edge_mode); visit("secondary_source_feature_channel_offset", secondary_source_feature_channel_offset); visit("secondary_source_feature_channel_max_count", secondary_source_feature_channel_max_count); visit("clip_rect", clip_rect); visit("destination_feature_channel_offset", destination_feature_channel_offset); visit("padding", padding); visit("kernel_offset_x", kernel_offset_x); visit("kernel_offset_y", kernel_offset_y); visit("gradient_of", gradient_of); }
};
using PoolingAverageGradient = PoolingAverageGradientOptions<"PoolingAverageGradient">; ///< Distribute the gradient to all pixels of each window, divided like the mean.

/// The options of MPSCNNPoolingL2Norm, MPSCNNPoolingMax.
template <detail::ClassName Name> struct PoolingL2NormOptions {
    static constexpr const char *kernel_class = Name.text;
    std::int64_t kernel_width = 1; ///< columns of the window
    std::int64_t kernel_height = 1; ///< rows of the window
    std::int64_t stride_x = 1; ///< source columns between destination columns (strideInPixelsX)
    std::int64_t stride_y = 1; ///< source rows between destination rows (strideInPixelsY)
    std::string label{}; ///< a name for messages
    std::array<std::int64_t, 3> offset{0, 0, 0}; ///< (x, y, z): position in the source of the first pixel written, for a kernel with a window of its centre tap; z is the first image
    EdgeMode edge_mode = EdgeMode::zero; ///< value of reads outside the source: 'zero' or 'clamp' (the nearest pixel); Pad has more modes
    std::int64_t source_feature_channel_offset = 0; ///< first feature channel read, a multiple of 4
    std::int64_t source_feature_channel_max_count = INT64_MAX; ///< maximum number of feature channels read
    std::optional<std::array<std::int64_t, 6>> clip_rect{}; ///< (x, y, z, width, height, depth): part of the destination that may be written; empty: all of it
    std::int64_t destination_feature_channel_offset = 0; ///< first feature channel written, a multiple of 4
    std::int64_t padding = 16; ///< size and place of results that the kernel makes itself (MPSNNPaddingMethod)
    template <class Visit> void visit_fields(Visit &&visit) const { visit("kernel_width", kernel_width); visit("kernel_height", kernel_height); visit("stride_x", stride_x); visit("stride_y", stride_y); visit("label", label); visit("offset", offset); visit("edge_mode", edge_mode); visit("source_feature_channel_offset", source_feature_channel_offset); visit("source_feature_channel_max_count", source_feature_channel_max_count); visit("clip_rect", clip_rect); visit("destination_feature_channel_offset", destination_feature_channel_offset); visit("padding", padding); }
};
using PoolingL2Norm = PoolingL2NormOptions<"PoolingL2Norm">; ///< Compute the square root of the sum of squares of each window.
using PoolingMax = PoolingL2NormOptions<"PoolingMax">; ///< Compute the maximum of each window.

/// The options of MPSCNNPoolingL2NormGradient, MPSCNNPoolingMaxGradient.
template <detail::ClassName Name> struct PoolingL2NormGradientOptions {
    static constexpr const char *kernel_class = Name.text;
    std::int64_t kernel_width = 1; ///< columns of the window
    std::int64_t kernel_height = 1; ///< rows of the window
    std::int64_t stride_x = 1; ///< source columns between destination columns (strideInPixelsX)
    std::int64_t stride_y = 1; ///< source rows between destination rows (strideInPixelsY)
    std::string label{}; ///< a name for messages
    std::array<std::int64_t, 3> primary_offset{0, 0, 0}; ///< (x, y, z): position in the primary source of the first pixel written
    EdgeMode primary_edge_mode = EdgeMode::zero; ///< value of reads outside the primary source: 'zero' or 'clamp'
    std::int64_t primary_source_feature_channel_offset = 0; ///< first feature channel read of the primary source, a multiple of 4
    std::int64_t primary_source_feature_channel_max_count = INT64_MAX; ///< maximum number of feature channels read of the primary source
    std::array<std::int64_t, 3> secondary_offset{0, 0, 0}; ///< (x, y, z): position in the secondary source of the first pixel written
    EdgeMode secondary_edge_mode = EdgeMode::zero; ///< value of reads outside the secondary source: 'zero' or 'clamp'
    std::int64_t secondary_source_feature_channel_offset = 0; ///< first feature channel read of the secondary source, a multiple of 4
    std::int64_t secondary_source_feature_channel_max_count = INT64_MAX; ///< maximum number of feature channels read of the secondary source
    std::optional<std::array<std::int64_t, 6>> clip_rect{}; ///< (x, y, z, width, height, depth): part of the destination that may be written; empty: all of it
    std::int64_t destination_feature_channel_offset = 0; ///< first feature channel written, a multiple of 4
    std::int64_t padding = 16; ///< size and place of results that the kernel makes itself (MPSNNPaddingMethod)
    std::int64_t kernel_offset_x = 0; ///< columns by which the window is moved over the gradient with stride - 1 zeros between its pixels
    std::int64_t kernel_offset_y = 0; ///< rows by which the window is moved in the same way
    std::string gradient_of = "source"; ///< 'source', or the weight whose gradient is the result
    template <class Visit> void visit_fields(Visit &&visit) const { visit("kernel_width", kernel_width); visit("kernel_height", kernel_height); visit("stride_x", stride_x); visit("stride_y", stride_y); visit("label", label); visit("primary_offset", primary_offset); visit("primary_edge_mode", primary_edge_mode); visit("primary_source_feature_channel_offset", primary_source_feature_channel_offset); visit("primary_source_feature_channel_max_count", primary_source_feature_channel_max_count); visit("secondary_offset", secondary_offset); visit("secondary_edge_mode", secondary_edge_mode); visit("secondary_source_feature_channel_offset", secondary_source_feature_channel_offset); visit("secondary_source_feature_channel_max_count", secondary_source_feature_channel_max_count); visit("clip_rect", clip_rect); visit("destination_feature_channel_offset", destination_feature_channel_offset); visit("padding", padding); visit("kernel_offset_x", kernel_offset_x); visit("kernel_offset_y", kernel_offset_y); visit("gradient_of", gradient_of); }
};
using PoolingL2NormGradient = PoolingL2NormGradientOptions<"PoolingL2NormGradient">; ///< Multiply the gradient by pixel / norm of each window, 0 where the norm is 0.
using PoolingMaxGradient = PoolingL2NormGradientOptions<"PoolingMaxGradient">; ///< Add the gradient to the maximum of each window, the first of equal ones.

/// The options of MPSNNReduceColumnMax, MPSNNReduceColumnMean, MPSNNReduceColumnMin, MPSNNReduceColumnSum, MPSNNReduceFeatureChannelsArgumentMax, MPSNNReduceFeatureChannelsArgumentMin, MPSNNReduceFeatureChannelsMax, MPSNNReduceFeatureChannelsMean, MPSNNReduceFeatureChannelsMin, MPSNNReduceRowMax, MPSNNReduceRowMean, MPSNNReduceRowMin, MPSNNReduceRowSum.
template <detail::ClassName Name> struct ReduceColumnMaxOptions {
    static constexpr const char *kernel_class = Name.text;
    std::optional<std::array<std::int64_t, 6>> clip_rect_source{}; ///< part of the source that is reduced, whatever its z; empty: all of it
    std::string label{}; ///< a name for messages
    std::array<std::int64_t, 3> offset{0, 0, 0}; ///< (x, y, z): position in the source of the first pixel written, for a kernel with a window of its centre tap; z is the first image
    EdgeMode edge_mode = EdgeMode::zero; ///< value of reads outside the source: 'zero' or 'clamp' (the nearest pixel); Pad has more modes
    std::int64_t source_feature_channel_offset = 0; ///< first feature channel read, a multiple of 4
    std::int64_t source_feature_channel_max_count = INT64_MAX; ///< maximum number of feature channels read
    std::optional<std::array<std::int64_t, 6>> clip_rect{}; ///< (x, y, z, width, height, depth): part of the destination that may be written; empty: all of it
    std::int64_t destination_feature_channel_offset = 0; ///< first feature channel written, a multiple of 4
    std::int64_t padding = 16; ///< size and place of results that the kernel makes itself (MPSNNPaddingMethod)
    template <class Visit> void visit_fields(Visit &&visit) const { visit("clip_rect_source", clip_rect_source); visit("label", label); visit("offset", offset); visit("edge_mode", edge_mode); visit("source_feature_channel_offset", source_feature_channel_offset); visit("source_feature_channel_max_count", source_feature_channel_max_count); visit("clip_rect", clip_rect); visit("destination_feature_channel_offset", destination_feature_channel_offset); visit("padding", padding); }
};
using ReduceColumnMax = ReduceColumnMaxOptions<"ReduceColumnMax">; ///< Compute the maximum of each column: the result is one pixel high.
using ReduceColumnMean = ReduceColumnMaxOptions<"ReduceColumnMean">; ///< Compute the mean of each column: the result is one pixel high.
using ReduceColumnMin = ReduceColumnMaxOptions<"ReduceColumnMin">; ///< Compute the minimum of each column: the result is one pixel high.
using ReduceColumnSum = ReduceColumnMaxOptions<"ReduceColumnSum">; ///< Compute the sum of each column: the result is one pixel high.
using ReduceFeatureChannelsArgumentMax = ReduceColumnMaxOptions<"ReduceFeatureChannelsArgumentMax">; ///< Find the channel with the maximum, the first of equal ones.
using ReduceFeatureChannelsArgumentMin = ReduceColumnMaxOptions<"ReduceFeatureChannelsArgumentMin">; ///< Find the channel with the minimum, the first of equal ones.
using ReduceFeatureChannelsMax = ReduceColumnMaxOptions<"ReduceFeatureChannelsMax">; ///< Compute the maximum of the feature channels of each pixel: the result has one channel.
using ReduceFeatureChannelsMean = ReduceColumnMaxOptions<"ReduceFeatureChannelsMean">; ///< Compute the mean of the feature channels of each pixel: the result has one channel.
using ReduceFeatureChannelsMin = ReduceColumnMaxOptions<"ReduceFeatureChannelsMin">; ///< Compute the minimum of the feature channels of each pixel: the result has one channel.
using ReduceRowMax = ReduceColumnMaxOptions<"ReduceRowMax">; ///< Compute the maximum of each row: the result is one pixel wide.
using ReduceRowMean = ReduceColumnMaxOptions<"ReduceRowMean">; ///< Compute the mean of each row: the result is one pixel wide.
using ReduceRowMin = ReduceColumnMaxOptions<"ReduceRowMin">; ///< Compute the minimum of each row: the result is one pixel wide.
using ReduceRowSum = ReduceColumnMaxOptions<"ReduceRowSum">; ///< Compute the sum of each row: the result is one pixel wide.

/// The options of MPSNNReduceFeatureChannelsAndWeightsMean.
template <detail::ClassName Name> struct ReduceFeatureChannelsAndWeightsMeanOptions {
    static constexpr const char *kernel_class = Name.text;
    std::optional<std::array<std::int64_t, 6>> primary_source_clip_rect{}; ///< part of the primary source that is reduced
    std::optional<std::array<std::int64_t, 6>> secondary_source_clip_rect{}; ///< part of the secondary source that holds its weights
    std::string label{}; ///< a name for messages
    std::array<std::int64_t, 3> primary_offset{0, 0, 0}; ///< (x, y, z): position in the primary source of the first pixel written
    EdgeMode primary_edge_mode = EdgeMode::zero; ///< value of reads outside the primary source: 'zero' or 'clamp'
    std::int64_t primary_source_feature_channel_offset = 0; ///< first feature channel read of the primary source, a multiple of 4
    std::int64_t primary_source_feature_channel_max_count = INT64_MAX; ///< maximum number of feature channels read of the primary source
    std::array<std::int64_t, 3> secondary_offset{0, 0, 0}; ///< (x, y, z): position in the secondary source of the first pixel written
    EdgeMode secondary_edge_mode = EdgeMode::zero; ///< value of reads outside the secondary source: 'zero' or 'clamp'
    std::int64_t secondary_source_feature_channel_offset = 0; ///< first feature channel read of the secondary source, a multiple of 4
    std::int64_t secondary_source_feature_channel_max_count = INT64_MAX; ///< maximum number of feature channels read of the secondary source
    std::optional<std::array<std::int64_t, 6>> clip_rect{}; ///< (x, y, z, width, height, depth): part of the destination that may be written; empty: all of it
    std::int64_t destination_feature_channel_offset = 0; ///< first feature channel written, a multiple of 4
    std::int64_t padding = 16; ///< size and place of results that the kernel makes itself (MPSNNPaddingMethod)
    template <class Visit> void visit_fields(Visit &&visit) const { visit("primary_source_clip_rect", primary_source_clip_rect); visit("secondary_source_clip_rect", secondary_source_clip_rect); visit("label", label); visit("primary_offset", primary_offset); visit("primary_edge_mode", primary_edge_mode); visit("primary_source_feature_channel_offset", primary_source_feature_channel_offset); visit("primary_source_feature_channel_max_count", primary_source_feature_channel_max_count); visit("secondary_offset", secondary_offset); visit("secondary_edge_mode", secondary_edge_mode); visit("secondary_source_feature_channel_offset", secondary_source_feature_channel_offset); visit("secondary_source_feature_channel_max_count", secondary_source_feature_channel_max_count); visit("clip_rect", clip_rect); visit("destination_feature_channel_offset", destination_feature_channel_offset); visit("padding", padding); }
};
using ReduceFeatureChannelsAndWeightsMean = ReduceFeatureChannelsAndWeightsMeanOptions<"ReduceFeatureChannelsAndWeightsMean">; ///< Compute the weighted mean over the feature channels of each pixel.

/// The options of MPSNNReduceFeatureChannelsAndWeightsSum.
template <detail::ClassName Name> struct ReduceFeatureChannelsAndWeightsSumOptions {
    static constexpr const char *kernel_class = Name.text;
    bool do_weighted_sum_by_non_zero_weights = false; ///< whether the sum is divided by the number of weights that are not zero
    std::optional<std::array<std::int64_t, 6>> primary_source_clip_rect{}; ///< part of the primary source that is reduced
    std::optional<std::array<std::int64_t, 6>> secondary_source_clip_rect{}; ///< part of the secondary source that holds its weights
    std::string label{}; ///< a name for messages
    std::array<std::int64_t, 3> primary_offset{0, 0, 0}; ///< (x, y, z): position in the primary source of the first pixel written
    EdgeMode primary_edge_mode = EdgeMode::zero; ///< value of reads outside the primary source: 'zero' or 'clamp'
    std::int64_t primary_source_feature_channel_offset = 0; ///< first feature channel read of the primary source, a multiple of 4
    std::int64_t primary_source_feature_channel_max_count = INT64_MAX; ///< maximum number of feature channels read of the primary source
    std::array<std::int64_t, 3> secondary_offset{0, 0, 0}; ///< (x, y, z): position in the secondary source of the first pixel written
    EdgeMode secondary_edge_mode = EdgeMode::zero; ///< value of reads outside the secondary source: 'zero' or 'clamp'
    std::int64_t secondary_source_feature_channel_offset = 0; ///< first feature channel read of the secondary source, a multiple of 4
    std::int64_t secondary_source_feature_channel_max_count = INT64_MAX; ///< maximum number of feature channels read of the secondary source
    std::optional<std::array<std::int64_t, 6>> clip_rect{}; ///< (x, y, z, width, height, depth): part of the destination that may be written; empty: all of it
    std::int64_t destination_feature_channel_offset = 0; ///< first feature channel written, a multiple of 4
    std::int64_t padding = 16; ///< size and place of results that the kernel makes itself (MPSNNPaddingMethod)
    template <class Visit> void visit_fields(Visit &&visit) const { visit("do_weighted_sum_by_non_zero_weights", do_weighted_sum_by_non_zero_weights); visit("primary_source_clip_rect", primary_source_clip_rect); visit("secondary_source_clip_rect", secondary_source_clip_rect); visit("label", label); visit("primary_offset", primary_offset); visit("primary_edge_mode", primary_edge_mode); visit("primary_source_feature_channel_offset", primary_source_feature_channel_offset); visit("primary_source_feature_channel_max_count", primary_source_feature_channel_max_count); visit("secondary_offset", secondary_offset); visit("secondary_edge_mode", secondary_edge_mode); visit("secondary_source_feature_channel_offset", secondary_source_feature_channel_offset); visit("secondary_source_feature_channel_max_count", secondary_source_feature_channel_max_count); visit("clip_rect", clip_rect); visit("destination_feature_channel_offset", destination_feature_channel_offset); visit("padding", padding); }
};
using ReduceFeatureChannelsAndWeightsSum = ReduceFeatureChannelsAndWeightsSumOptions<"ReduceFeatureChannelsAndWeightsSum">; ///< Compute the sum over the channels of primary times secondary.

/// The options of MPSNNReduceFeatureChannelsSum.
template <detail::ClassName Name> struct ReduceFeatureChannelsSumOptions {
    static constexpr const char *kernel_class = Name.text;
    std::optional<std::array<std::int64_t, 6>> clip_rect_source{}; ///< part of the source that is reduced, whatever its z; empty: all of it
    double weight = 1.0; ///< factor of every feature channel
    std::string label{}; ///< a name for messages
    std::array<std::int64_t, 3> offset{0, 0, 0}; ///< (x, y, z): position in the source of the first pixel written, for a kernel with a window of its centre tap; z is the first image
    EdgeMode edge_mode = EdgeMode::zero; ///< value of reads outside the source: 'zero' or 'clamp' (the nearest pixel); Pad has more modes
    std::int64_t source_feature_channel_offset = 0; ///< first feature channel read, a multiple of 4
    std::int64_t source_feature_channel_max_count = INT64_MAX; ///< maximum number of feature channels read
    std::optional<std::array<std::int64_t, 6>> clip_rect{}; ///< (x, y, z, width, height, depth): part of the destination that may be written; empty: all of it
    std::int64_t destination_feature_channel_offset = 0; ///< first feature channel written, a multiple of 4
    std::int64_t padding = 16; ///< size and place of results that the kernel makes itself (MPSNNPaddingMethod)
    template <class Visit> void visit_fields(Visit &&visit) const { visit("clip_rect_source", clip_rect_source); visit("weight", weight); visit("label", label); visit("offset", offset); visit("edge_mode", edge_mode); visit("source_feature_channel_offset", source_feature_channel_offset); visit("source_feature_channel_max_count", source_feature_channel_max_count); visit("clip_rect", clip_rect); visit("destination_feature_channel_offset", destination_feature_channel_offset); visit("padding", padding); }
};
using ReduceFeatureChannelsSum = ReduceFeatureChannelsSumOptions<"ReduceFeatureChannelsSum">; ///< Compute the sum of the feature channels of each pixel: the result has one channel.

/// The options of MPSNNReshape.
template <detail::ClassName Name> struct ReshapeOptions {
    static constexpr const char *kernel_class = Name.text;
    std::int64_t reshaped_width = 1; ///< columns of the result
    std::int64_t reshaped_height = 1; ///< rows of the result
    std::int64_t reshaped_feature_channels = 1; ///< feature channels of the result
    std::string label{}; ///< a name for messages
    std::array<std::int64_t, 3> offset{0, 0, 0}; ///< (x, y, z): position in the source of the first pixel written, for a kernel with a window of its centre tap; z is the first image
    EdgeMode edge_mode = EdgeMode::zero; ///< value of reads outside the source: 'zero' or 'clamp' (the nearest pixel); Pad has more modes
    std::int64_t source_feature_channel_offset = 0; ///< first feature channel read, a multiple of 4
    std::int64_t source_feature_channel_max_count = INT64_MAX; ///< maximum number of feature channels read
    std::optional<std::array<std::int64_t, 6>> clip_rect{}; ///< (x, y, z, width, height, depth): part of the destination that may be written; empty: all of it
    std::int64_t destination_feature_channel_offset = 0; ///< first feature channel written, a multiple of 4
    std::int64_t padding = 16; ///< size and place of results that the kernel makes itself (MPSNNPaddingMethod)
    template <class Visit> void visit_fields(Visit &&visit) const { visit("reshaped_width", reshaped_width); visit("reshaped_height", reshaped_height); visit("reshaped_feature_channels", reshaped_feature_channels); visit("label", label); visit("offset", offset); visit("edge_mode", edge_mode); visit("source_feature_channel_offset", source_feature_channel_offset); visit("source_feature_channel_max_count", source_feature_channel_max_count); visit("clip_rect", clip_rect); visit("destination_feature_channel_offset", destination_feature_channel_offset); visit("padding", padding); }
};
using Reshape = ReshapeOptions<"Reshape">; ///< Arrange the elements of each image, in `[height][width][channel]` order, in another shape.

/// The options of MPSNNReshapeGradient.
template <detail::ClassName Name> struct ReshapeGradientOptions {
    static constexpr const char *kernel_class = Name.text;
    std::string label{}; ///< a name for messages
    std::array<std::int64_t, 3> primary_offset{0, 0, 0}; ///< (x, y, z): position in the primary source of the first pixel written
    EdgeMode primary_edge_mode = EdgeMode::zero; ///< value of reads outside the primary source: 'zero' or 'clamp'
    std::int64_t primary_source_feature_channel_offset = 0; ///< first feature channel read of the primary source, a multiple of 4
    std::int64_t primary_source_feature_channel_max_count = INT64_MAX; ///< maximum number of feature channels read of the primary source
    std::array<std::int64_t, 3> secondary_offset{0, 0, 0}; ///< (x, y, z): position in the secondary source of the first pixel written
    EdgeMode secondary_edge_mode = EdgeMode::zero; ///< value of reads outside the secondary source: 'zero' or 'clamp'
    std::int64_t secondary_source_feature_channel_offset = 0; ///< first feature channel read of the secondary source, a multiple of 4
    std::int64_t secondary_source_feature_channel_max_count = INT64_MAX; ///< maximum number of feature channels read of the secondary source
    std::optional<std::array<std::int64_t, 6>> clip_rect{}; ///< (x, y, z, width, height, depth): part of the destination that may be written; empty: all of it
    std::int64_t destination_feature_channel_offset = 0; ///< first feature channel written, a multiple of 4
    std::int64_t padding = 16; ///< size and place of results that the kernel makes itself (MPSNNPaddingMethod)
    std::int64_t kernel_offset_x = 0; ///< columns by which the window is moved over the gradient with stride - 1 zeros between its pixels
    std::int64_t kernel_offset_y = 0; ///< rows by which the window is moved in the same way
    std::string gradient_of = "source"; ///< 'source', or the weight whose gradient is the result
    template <class Visit> void visit_fields(Visit &&visit) const { visit("label", label); visit("primary_offset", primary_offset); visit("primary_edge_mode", primary_edge_mode); visit("primary_source_feature_channel_offset", primary_source_feature_channel_offset); visit("primary_source_feature_channel_max_count", primary_source_feature_channel_max_count); visit("secondary_offset", secondary_offset); visit("secondary_edge_mode", secondary_edge_mode); visit("secondary_source_feature_channel_offset", secondary_source_feature_channel_offset); visit("secondary_source_feature_channel_max_count", secondary_source_feature_channel_max_count); visit("clip_rect", clip_rect); visit("destination_feature_channel_offset", destination_feature_channel_offset); visit("padding", padding); visit("kernel_offset_x", kernel_offset_x); visit("kernel_offset_y", kernel_offset_y); visit("gradient_of", gradient_of); }
};
using ReshapeGradient = ReshapeGradientOptions<"ReshapeGradient">; ///< Return the elements of each gradient in the shape of the image that was reshaped.

/// The options of MPSNNResizeBilinear.
template <detail::ClassName Name> struct ResizeBilinearOptions {
    static constexpr const char *kernel_class = Name.text;
    std::int64_t resize_width = 0; ///< columns of the result
    std::int64_t resize_height = 0; ///< rows of the result
    bool align_corners = false; ///< whether corner pixels stay corners; otherwise pixel centres are aligned
    std::string label{}; ///< a name for messages
    std::array<std::int64_t, 3> offset{0, 0, 0}; ///< (x, y, z): position in the source of the first pixel written, for a kernel with a window of its centre tap; z is the first image
    EdgeMode edge_mode = EdgeMode::zero; ///< value of reads outside the source: 'zero' or 'clamp' (the nearest pixel); Pad has more modes
    std::int64_t source_feature_channel_offset = 0; ///< first feature channel read, a multiple of 4
    std::int64_t source_feature_channel_max_count = INT64_MAX; ///< maximum number of feature channels read
    std::optional<std::array<std::int64_t, 6>> clip_rect{}; ///< (x, y, z, width, height, depth): part of the destination that may be written; empty: all of it
    std::int64_t destination_feature_channel_offset = 0; ///< first feature channel written, a multiple of 4
    std::int64_t padding = 16; ///< size and place of results that the kernel makes itself (MPSNNPaddingMethod)
    template <class Visit> void visit_fields(Visit &&visit) const { visit("resize_width", resize_width); visit("resize_height", resize_height); visit("align_corners", align_corners); visit("label", label); visit("offset", offset); visit("edge_mode", edge_mode); visit("source_feature_channel_offset", source_feature_channel_offset); visit("source_feature_channel_max_count", source_feature_channel_max_count); visit("clip_rect", clip_rect); visit("destination_feature_channel_offset", destination_feature_channel_offset); visit("padding", padding); }
};
using ResizeBilinear = ResizeBilinearOptions<"ResizeBilinear">; ///< Bilinear interpolation to a given size.

/// The options of MPSCNNSpatialNormalization.
template <detail::ClassName Name> struct SpatialNormalizationOptions {
    static constexpr const char *kernel_class = Name.text;
    std::int64_t kernel_width = 5; ///< columns of the window; must equal its rows
    std::int64_t kernel_height = 5; ///< rows of the window
    double alpha = 1.0; ///< factor of the mean square or variance
    double beta = 5.0; ///< exponent
    double delta = 1.0; ///< added to the scaled mean square or variance
    std::string label{}; ///< a name for messages
    std::array<std::int64_t, 3> offset{0, 0, 0}; ///< (x, y, z): position in the source of the first pixel written, for a kernel with a window of its centre tap; z is the first image
    EdgeMode edge_mode = EdgeMode::zero; ///< value of reads outside the source: 'zero' or 'clamp' (the nearest pixel); Pad has more modes
    std::int64_t source_feature_channel_offset = 0; ///< first feature channel read, a multiple of 4
    std::int64_t source_feature_channel_max_count = INT64_MAX; ///< maximum number of feature channels read
    std::optional<std::array<std::int64_t, 6>> clip_rect{}; ///< (x, y, z, width, height, depth): part of the destination that may be written; empty: all of it
    std::int64_t destination_feature_channel_offset = 0; ///< first feature channel written, a multiple of 4
    std::int64_t padding = 16; ///< size and place of results that the kernel makes itself (MPSNNPaddingMethod)
    template <class Visit> void visit_fields(Visit &&visit) const { visit("kernel_width", kernel_width); visit("kernel_height", kernel_height); visit("alpha", alpha); visit("beta", beta); visit("delta", delta); visit("label", label); visit("offset", offset); visit("edge_mode", edge_mode); visit("source_feature_channel_offset", source_feature_channel_offset); visit("source_feature_channel_max_count", source_feature_channel_max_count); visit("clip_rect", clip_rect); visit("destination_feature_channel_offset", destination_feature_channel_offset); visit("padding", padding); }
};
using SpatialNormalization = SpatialNormalizationOptions<"SpatialNormalization">; ///< x / (delta + alpha * mean of x^2 over the window)^beta.

/// The options of MPSCNNSpatialNormalizationGradient.
template <detail::ClassName Name> struct SpatialNormalizationGradientOptions {
    static constexpr const char *kernel_class = Name.text;
    std::int64_t kernel_width = 5; ///< columns of the window; must equal its rows
    std::int64_t kernel_height = 5; ///< rows of the window
    double alpha = 1.0; ///< factor of the mean square or variance
    double beta = 5.0; ///< exponent
    double delta = 1.0; ///< added to the scaled mean square or variance
    std::string label{}; ///< a name for messages
    std::array<std::int64_t, 3> primary_offset{0, 0, 0}; ///< (x, y, z): position in the primary source of the first pixel written
    EdgeMode primary_edge_mode = EdgeMode::zero; ///< value of reads outside the primary source: 'zero' or 'clamp'
    std::int64_t primary_source_feature_channel_offset = 0; ///< first feature channel read of the primary source, a multiple of 4
    std::int64_t primary_source_feature_channel_max_count = INT64_MAX; ///< maximum number of feature channels read of the primary source
    std::array<std::int64_t, 3> secondary_offset{0, 0, 0}; ///< (x, y, z): position in the secondary source of the first pixel written
    EdgeMode secondary_edge_mode = EdgeMode::zero; ///< value of reads outside the secondary source: 'zero' or 'clamp'
    std::int64_t secondary_source_feature_channel_offset = 0; ///< first feature channel read of the secondary source, a multiple of 4
    std::int64_t secondary_source_feature_channel_max_count = INT64_MAX; ///< maximum number of feature channels read of the secondary source
    std::optional<std::array<std::int64_t, 6>> clip_rect{}; ///< (x, y, z, width, height, depth): part of the destination that may be written; empty: all of it
    std::int64_t destination_feature_channel_offset = 0; ///< first feature channel written, a multiple of 4
    std::int64_t padding = 16; ///< size and place of results that the kernel makes itself (MPSNNPaddingMethod)
    std::int64_t kernel_offset_x = 0; ///< columns by which the window is moved over the gradient with stride - 1 zeros between its pixels
    std::int64_t kernel_offset_y = 0; ///< rows by which the window is moved in the same way
    std::string gradient_of = "source"; ///< 'source', or the weight whose gradient is the result
    template <class Visit> void visit_fields(Visit &&visit) const { visit("kernel_width", kernel_width); visit("kernel_height", kernel_height); visit("alpha", alpha); visit("beta", beta); visit("delta", delta); visit("label", label); visit("primary_offset", primary_offset); visit("primary_edge_mode", primary_edge_mode); visit("primary_source_feature_channel_offset", primary_source_feature_channel_offset); visit("primary_source_feature_channel_max_count", primary_source_feature_channel_max_count); visit("secondary_offset", secondary_offset); visit("secondary_edge_mode", secondary_edge_mode); visit("secondary_source_feature_channel_offset", secondary_source_feature_channel_offset); visit("secondary_source_feature_channel_max_count", secondary_source_feature_channel_max_count); visit("clip_rect", clip_rect); visit("destination_feature_channel_offset", destination_feature_channel_offset); visit("padding", padding); visit("kernel_offset_x", kernel_offset_x); visit("kernel_offset_y", kernel_offset_y); visit("gradient_of", gradient_of); }
};
using SpatialNormalizationGradient = SpatialNormalizationGradientOptions<"SpatialNormalizationGradient">; ///< Compute the gradient of a spatial normalization's source.

/// The options of MPSCNNUpsamplingBilinear.
template <detail::ClassName Name> struct UpsamplingBilinearOptions {
    static constexpr const char *kernel_class = Name.text;
    std::int64_t scale_factor_x = 1; ///< destination columns of a source column
    std::int64_t scale_factor_y = 1; ///< destination rows of a source row
    bool align_corners = false; ///< whether corner pixels stay corners; otherwise pixel centres are aligned
    std::string label{}; ///< a name for messages
    std::array<std::int64_t, 3> offset{0, 0, 0}; ///< (x, y, z): position in the source of the first pixel written, for a kernel with a window of its centre tap; z is the first image
    EdgeMode edge_mode = EdgeMode::zero; ///< value of reads outside the source: 'zero' or 'clamp' (the nearest pixel); Pad has more modes
    std::int64_t source_feature_channel_offset = 0; ///< first feature channel read, a multiple of 4
    std::int64_t source_feature_channel_max_count = INT64_MAX; ///< maximum number of feature channels read
    std::optional<std::array<std::int64_t, 6>> clip_rect{}; ///< (x, y, z, width, height, depth): part of the destination that may be written; empty: all of it
    std::int64_t destination_feature_channel_offset = 0; ///< first feature channel written, a multiple of 4
    std::int64_t padding = 16; ///< size and place of results that the kernel makes itself (MPSNNPaddingMethod)
    template <class Visit> void visit_fields(Visit &&visit) const { visit("scale_factor_x", scale_factor_x); visit("scale_factor_y", scale_factor_y); visit("align_corners", align_corners); visit("label", label); visit("offset", offset); visit("edge_mode", edge_mode); visit("source_feature_channel_offset", source_feature_channel_offset); visit("source_feature_channel_max_count", source_feature_channel_max_count); visit("clip_rect", clip_rect); visit("destination_feature_channel_offset", destination_feature_channel_offset); visit("padding", padding); }
};
using UpsamplingBilinear = UpsamplingBilinearOptions<"UpsamplingBilinear">; ///< Bilinear interpolation.

/// The options of MPSCNNUpsamplingBilinearGradient.
template <detail::ClassName Name> struct UpsamplingBilinearGradientOptions {
    static constexpr const char *kernel_class = Name.text;
    std::int64_t scale_factor_x = 1; ///< destination columns of a source column
    std::int64_t scale_factor_y = 1; ///< destination rows of a source row
    bool align_corners = false; ///< whether corner pixels stay corners; otherwise pixel centres are aligned
    std::string label{}; ///< a name for messages
    std::array<std::int64_t, 3> primary_offset{0, 0, 0}; ///< (x, y, z): position in the primary source of the first pixel written
    EdgeMode primary_edge_mode = EdgeMode::zero; ///< value of reads outside the primary source: 'zero' or 'clamp'
    std::int64_t primary_source_feature_channel_offset = 0; ///< first feature channel read of the primary source, a multiple of 4
    std::int64_t primary_source_feature_channel_max_count = INT64_MAX; ///< maximum number of feature channels read of the primary source
    std::array<std::int64_t, 3> secondary_offset{0, 0, 0}; ///< (x, y, z): position in the secondary source of the first pixel written
    EdgeMode secondary_edge_mode = EdgeMode::zero; ///< value of reads outside the secondary source: 'zero' or 'clamp'
    std::int64_t secondary_source_feature_channel_offset = 0; ///< first feature channel read of the secondary source, a multiple of 4
    std::int64_t secondary_source_feature_channel_max_count = INT64_MAX; ///< maximum number of feature channels read of the secondary source
    std::optional<std::array<std::int64_t, 6>> clip_rect{}; ///< (x, y, z, width, height, depth): part of the destination that may be written; empty: all of it
    std::int64_t destination_feature_channel_offset = 0; ///< first feature channel written, a multiple of 4
    std::int64_t padding = 16; ///< size and place of results that the kernel makes itself (MPSNNPaddingMethod)
    std::int64_t kernel_offset_x = 0; ///< columns by which the window is moved over the gradient with stride - 1 zeros between its pixels
    std::int64_t kernel_offset_y = 0; ///< rows by which the window is moved in the same way
    std::string gradient_of = "source"; ///< 'source', or the weight whose gradient is the result
    template <class Visit> void visit_fields(Visit &&visit) const { visit("scale_factor_x", scale_factor_x); visit("scale_factor_y", scale_factor_y); visit("align_corners", align_corners); visit("label", label); visit("primary_offset", primary_offset); visit("primary_edge_mode", primary_edge_mode); visit("primary_source_feature_channel_offset", primary_source_feature_channel_offset); visit("primary_source_feature_channel_max_count", primary_source_feature_channel_max_count); visit("secondary_offset", secondary_offset); visit("secondary_edge_mode", secondary_edge_mode); visit("secondary_source_feature_channel_offset", secondary_source_feature_channel_offset); visit("secondary_source_feature_channel_max_count", secondary_source_feature_channel_max_count); visit("clip_rect", clip_rect); visit("destination_feature_channel_offset", destination_feature_channel_offset); visit("padding", padding); visit("kernel_offset_x", kernel_offset_x); visit("kernel_offset_y", kernel_offset_y); visit("gradient_of", gradient_of); }
};
using UpsamplingBilinearGradient = UpsamplingBilinearGradientOptions<"UpsamplingBilinearGradient">; ///< Compute the sum of the gradients of all pixels that were sampled from a pixel, each times its weight.

/// The options of MPSCNNUpsamplingNearest.
template <detail::ClassName Name> struct UpsamplingNearestOptions {
    static constexpr const char *kernel_class = Name.text;
    std::int64_t scale_factor_x = 1; ///< destination columns of a source column
    std::int64_t scale_factor_y = 1; ///< destination rows of a source row
    std::string label{}; ///< a name for messages
    std::array<std::int64_t, 3> offset{0, 0, 0}; ///< (x, y, z): position in the source of the first pixel written, for a kernel with a window of its centre tap; z is the first image
    EdgeMode edge_mode = EdgeMode::zero; ///< value of reads outside the source: 'zero' or 'clamp' (the nearest pixel); Pad has more modes
    std::int64_t source_feature_channel_offset = 0; ///< first feature channel read, a multiple of 4
    std::int64_t source_feature_channel_max_count = INT64_MAX; ///< maximum number of feature channels read
    std::optional<std::array<std::int64_t, 6>> clip_rect{}; ///< (x, y, z, width, height, depth): part of the destination that may be written; empty: all of it
    std::int64_t destination_feature_channel_offset = 0; ///< first feature channel written, a multiple of 4
    std::int64_t padding = 16; ///< size and place of results that the kernel makes itself (MPSNNPaddingMethod)
    template <class Visit> void visit_fields(Visit &&visit) const { visit("scale_factor_x", scale_factor_x); visit("scale_factor_y", scale_factor_y); visit("label", label); visit("offset", offset); visit("edge_mode", edge_mode); visit("source_feature_channel_offset", source_feature_channel_offset); visit("source_feature_channel_max_count", source_feature_channel_max_count); visit("clip_rect", clip_rect); visit("destination_feature_channel_offset", destination_feature_channel_offset); visit("padding", padding); }
};
using UpsamplingNearest = UpsamplingNearestOptions<"UpsamplingNearest">; ///< Repeat every pixel: result[o] = x[floor(o / scale_factor)].

/// The options of MPSCNNUpsamplingNearestGradient.
template <detail::ClassName Name> struct UpsamplingNearestGradientOptions {
    static constexpr const char *kernel_class = Name.text;
    std::int64_t scale_factor_x = 1; ///< destination columns of a source column
    std::int64_t scale_factor_y = 1; ///< destination rows of a source row
    std::string label{}; ///< a name for messages
    std::array<std::int64_t, 3> primary_offset{0, 0, 0}; ///< (x, y, z): position in the primary source of the first pixel written
    EdgeMode primary_edge_mode = EdgeMode::zero; ///< value of reads outside the primary source: 'zero' or 'clamp'
    std::int64_t primary_source_feature_channel_offset = 0; ///< first feature channel read of the primary source, a multiple of 4
    std::int64_t primary_source_feature_channel_max_count = INT64_MAX; ///< maximum number of feature channels read of the primary source
    std::array<std::int64_t, 3> secondary_offset{0, 0, 0}; ///< (x, y, z): position in the secondary source of the first pixel written
    EdgeMode secondary_edge_mode = EdgeMode::zero; ///< value of reads outside the secondary source: 'zero' or 'clamp'
    std::int64_t secondary_source_feature_channel_offset = 0; ///< first feature channel read of the secondary source, a multiple of 4
    std::int64_t secondary_source_feature_channel_max_count = INT64_MAX; ///< maximum number of feature channels read of the secondary source
    std::optional<std::array<std::int64_t, 6>> clip_rect{}; ///< (x, y, z, width, height, depth): part of the destination that may be written; empty: all of it
    std::int64_t destination_feature_channel_offset = 0; ///< first feature channel written, a multiple of 4
    std::int64_t padding = 16; ///< size and place of results that the kernel makes itself (MPSNNPaddingMethod)
    std::int64_t kernel_offset_x = 0; ///< columns by which the window is moved over the gradient with stride - 1 zeros between its pixels
    std::int64_t kernel_offset_y = 0; ///< rows by which the window is moved in the same way
    std::string gradient_of = "source"; ///< 'source', or the weight whose gradient is the result
    template <class Visit> void visit_fields(Visit &&visit) const { visit("scale_factor_x", scale_factor_x); visit("scale_factor_y", scale_factor_y); visit("label", label); visit("primary_offset", primary_offset); visit("primary_edge_mode", primary_edge_mode); visit("primary_source_feature_channel_offset", primary_source_feature_channel_offset); visit("primary_source_feature_channel_max_count", primary_source_feature_channel_max_count); visit("secondary_offset", secondary_offset); visit("secondary_edge_mode", secondary_edge_mode); visit("secondary_source_feature_channel_offset", secondary_source_feature_channel_offset); visit("secondary_source_feature_channel_max_count", secondary_source_feature_channel_max_count); visit("clip_rect", clip_rect); visit("destination_feature_channel_offset", destination_feature_channel_offset); visit("padding", padding); visit("kernel_offset_x", kernel_offset_x); visit("kernel_offset_y", kernel_offset_y); visit("gradient_of", gradient_of); }
};
using UpsamplingNearestGradient = UpsamplingNearestGradientOptions<"UpsamplingNearestGradient">; ///< Compute the sum of the gradients of each pixel's copies.

/// The options of MPSCNNYOLOLoss.
template <detail::ClassName Name> struct YOLOLossOptions {
    static constexpr const char *kernel_class = Name.text;
    std::vector<double> anchor_boxes{}; ///< width and height of each anchor, in cells
    YOLOLossResult result = YOLOLossResult::gradient; ///< 'gradient' of the prediction, or 'loss'
    ForwardLossLossType xy_loss_type = ForwardLossLossType::mean_squared_error; ///< loss of the places
    ForwardLossLossType wh_loss_type = ForwardLossLossType::mean_squared_error; ///< loss of the sizes
    ForwardLossLossType confidence_loss_type = ForwardLossLossType::sigmoid_cross_entropy; ///< loss of the confidence
    ForwardLossLossType classes_loss_type = ForwardLossLossType::softmax_cross_entropy; ///< loss of the classes
    ForwardLossReductionType reduction_type = ForwardLossReductionType::none; ///< 'none', 'sum' or 'mean'
    bool reduce_across_batch = false; ///< whether there is one loss for all images, or one for each
    bool rescore = true; ///< whether the confidence shall be the IOU with the label's box, otherwise 1
    double scale_xy = 10.0; ///< factor of the loss of places
    double scale_wh = 10.0; ///< factor of the loss of sizes
    double scale_no_object = 5.0; ///< factor of the confidence's loss where there is no object
    double scale_object = 100.0; ///< factor of the confidence's loss where there is one
    double scale_class = 2.0; ///< factor of the loss of classes
    double min_iou_for_object_presence = 0.699999988079071; ///< a box without a label whose IOU with a label's box is above has an object
    double max_iou_for_object_absence = 0.30000001192092896; ///< a box without a label has no object where all of its IOUs are below
    std::string label{}; ///< a name for messages
    template <class Visit> void visit_fields(Visit &&visit) const { visit("anchor_boxes", anchor_boxes); visit("result", result); visit("xy_loss_type", xy_loss_type); visit("wh_loss_type", wh_loss_type); visit("confidence_loss_type", confidence_loss_type); visit("classes_loss_type", classes_loss_type); visit("reduction_type", reduction_type); visit("reduce_across_batch", reduce_across_batch); visit("rescore", rescore); visit("scale_xy", scale_xy); visit("scale_wh", scale_wh); visit("scale_no_object", scale_no_object); visit("scale_object", scale_object); visit("scale_class", scale_class); visit("min_iou_for_object_presence", min_iou_for_object_presence); visit("max_iou_for_object_absence", max_iou_for_object_absence); visit("label", label); }
};
using YOLOLoss = YOLOLossOptions<"YOLOLoss">; ///< Compute the loss of a YOLO detector's prediction, and the gradient of the prediction.

} // namespace kernel
} // namespace api
} // namespace mpscnn
