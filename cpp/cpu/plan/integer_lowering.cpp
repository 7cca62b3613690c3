// Computes the constants of int8 networks' layers (factors, biases, tables) as TensorFlow Lite's reference
// kernels do.

#include "cpu/plan/integer_lowering.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "core/error.h"
#include "cpu/kernels/tasks/fixed_point.h"
#include "cpu/plan/integer_weighted_layers.h"
#include "ops/unsupported.h"

namespace mpscnn::cpu {

using engine::Graph;
using engine::Node;
using engine::Quantization;

namespace {

/// Set the factor of the layer's requantization, which is the same for all outputs. Kernels read one for each
/// output of a panel.
void set_factor(const FixedPoint &factor, const Node &node, IntegerLayer &layer) {
    require_small_factor(node, factor);
    layer.multipliers = AlignedBuffer<std::int32_t>(IntegerWeights::panel);
    layer.shifts = AlignedBuffer<std::int32_t>(IntegerWeights::panel);
    std::fill_n(layer.multipliers.data(), layer.multipliers.size(), factor.multiplier);
    std::fill_n(layer.shifts.data(), layer.shifts.size(), factor.shift);
    layer.requantization.multipliers = layer.multipliers.data();
    layer.requantization.shifts = layer.shifts.data();
}

/// Compute the terms of an addition or subtraction. Each operand gets 20 more bits and is converted to twice
/// the larger of both scales.
void lower_sum(const Graph &graph, std::size_t index, IntegerLayer &layer) {
    const Node &node = graph.nodes()[index];
    const Quantization &a = quantization_of(graph, node.inputs[0]),
                       &b = quantization_of(graph, node.inputs[1]),
                       &result = quantization_of(graph, graph.result_of(index));
    const double largest = 2.0 * static_cast<double>(std::max(a.scale, b.scale));
    layer.table = zeros(512);
    std::int32_t *term = layer.table.data();
    IntegerTerms *terms = layer.terms;
    for (const Quantization *operand : {&a, &b}) {
        const FixedPoint factor = fixed_point(static_cast<double>(operand->scale) / largest);
        const std::int32_t zero = stored(*operand, operand->zero_point);
        *terms++ = {zero, factor.multiplier, factor.shift, term};
        for (int byte = 0; byte < 256; ++byte)
            *term++ = rounded_twice((byte - zero) * (1 << 20), factor.multiplier, factor.shift);
    }
    set_factor(fixed_point(largest / (1048576.0 * static_cast<double>(result.scale))), node, layer);
    set_limits(layer.requantization, node, result);
}

/// Compute the factor of a multiplication's result; it is rounded to float32.
void lower_product(const Graph &graph, std::size_t index, IntegerLayer &layer) {
    const Node &node = graph.nodes()[index];
    const Quantization &result = quantization_of(graph, graph.result_of(index));
    const float factor = quantization_of(graph, node.inputs[0]).scale *
                         quantization_of(graph, node.inputs[1]).scale / result.scale;
    set_factor(fixed_point(static_cast<double>(factor)), node, layer);
    set_limits(layer.requantization, node, result);
}

/// Compute the factor of the sums of a matrix product. The product of the operands' scales is rounded to
/// float32.
void lower_matrix_product(const Graph &graph, std::size_t index, IntegerLayer &layer) {
    const Node &node = graph.nodes()[index];
    const Quantization &result = quantization_of(graph, graph.result_of(index));
    const float product =
        quantization_of(graph, node.inputs[0]).scale * quantization_of(graph, node.inputs[1]).scale;
    set_factor(fixed_point(static_cast<double>(product) / static_cast<double>(result.scale)), node, layer);
    set_limits(layer.requantization, node, result);
}

/// Return the difference between two real numbers whose integers are the maximum and `distance` below it, in
/// fixed-point arithmetic. `scale` is the factor that lower_exponentials() returns.
std::int32_t difference_of(int distance, const FixedPoint &scale) {
    return high_product(
        static_cast<std::int32_t>(-static_cast<std::int64_t>(distance) * (1LL << scale.shift)),
        scale.multiplier);
}

/// Throw ParameterError unless the result has this scale and this zero point, which TensorFlow Lite
/// prescribes for the layer. `zero_point` is a stored byte. `stated` describes both numbers in the message.
void require_result(const Node &node, const Quantization &result, float scale, int zero_point,
                    const char *stated) {
    if (result.scale != scale || stored(result, result.zero_point) != zero_point)
        fail(ErrorKind::parameter, {name_of_layer(node), ": the integers of a ", info_of(node.operation).name,
                                    "'s result have the ", stated});
}

/// Set exponentials[distance] to e^-(distance * scale of the source), or to -1 if the distance is too large.
/// A softmax looks up a channel's distance from the maximum here. Returns the factor that converts a distance
/// to fixed-point arithmetic with 26 bits after the binary point.
FixedPoint lower_exponentials(const Node &node, const Quantization &source, std::int32_t *exponentials) {
    const double factor = std::min(static_cast<double>(source.scale) * 67108864.0, 2147483647.0);
    if (!(factor > 1.0))
        fail(ErrorKind::parameter, {name_of_layer(node),
                                    ": in int8 precision the scale of a softmax's input "
                                    "must be above 2^-26, got ",
                                    source.scale});
    const FixedPoint scale = fixed_point(factor);
    const double farthest = std::floor(31.0 * 67108864.0 / std::ldexp(1.0, scale.shift));
    for (int distance = 0; distance < 256; ++distance)
        exponentials[distance] = distance > farthest ? -1 : exponential(5, difference_of(distance, scale));
    return scale;
}

void lower_softmax(const Graph &graph, std::size_t index, IntegerLayer &layer) {
    const Node &node = graph.nodes()[index];
    require_result(node, quantization_of(graph, graph.result_of(index)), 1.0f / 256.0f, 0,
                   "scale 1/256 and the zero point 0 (uint8) or -128 (int8)");
    layer.table = zeros(256);
    lower_exponentials(node, quantization_of(graph, node.inputs[0]), layer.table.data());
}

void lower_log_softmax(const Graph &graph, std::size_t index, IntegerLayer &layer) {
    const Node &node = graph.nodes()[index];
    require_result(node, quantization_of(graph, graph.result_of(index)), 1.0f / 16.0f, 255,
                   "scale 1/16 and the zero point 255 (uint8) or 127 (int8)");
    layer.table = zeros(512);
    std::int32_t *const differences = layer.table.data() + 256;
    const FixedPoint scale =
        lower_exponentials(node, quantization_of(graph, node.inputs[0]), layer.table.data());
    for (int distance = 0; distance < 256; ++distance)
        if (layer.table[static_cast<std::size_t>(distance)] >= 0)
            differences[distance] = difference_of(distance, scale);
    set_factor(fixed_point(std::ldexp(1.0, 31 - scale.shift) / scale.multiplier), node, layer);
}

void lower_unit_norm(const Graph &graph, std::size_t index) {
    const Node &node = graph.nodes()[index];
    require_result(node, quantization_of(graph, graph.result_of(index)), 1.0f / 128.0f, 128,
                   "scale 1/128 and the zero point 128 (uint8) or 0 (int8)");
    if (!node.weights.empty())
        fail(ErrorKind::parameter,
             {name_of_layer(node), ": in int8 precision a unit norm has no gamma and no beta"});
    if (node.activation)
        fail(ErrorKind::parameter,
             {name_of_layer(node), ": in int8 precision a unit norm has no activation; add it as a layer"});
}

/// Compute the table of an activation that only clamps, or of a layer that only changes scale and zero point.
/// As in TensorFlow Lite's kernels, the ratio of the scales is a float32 number for an activation, and a
/// double where only the scale changes.
void lower_limits(const Graph &graph, std::size_t index, IntegerLayer &layer) {
    const Node &node = graph.nodes()[index];
    const Quantization &own = quantization_of(graph, node.inputs[0]),
                       &result = quantization_of(graph, graph.result_of(index));
    const bool is_activation = node.operation.as<ops::Neuron>().kind != ops::NeuronKind::none;
    const FixedPoint factor = is_activation ? fixed_point(static_cast<double>(own.scale / result.scale))
                                            : factor_between(own, result);
    require_small_factor(node, factor);
    set_limits(layer.requantization, node, result);
    layer.moved = AlignedBuffer<std::uint8_t>(256);
    for (int byte = 0; byte < 256; ++byte) {
        const std::int64_t moved =
            rounded_twice(byte - stored(own, own.zero_point), factor.multiplier, factor.shift);
        layer.moved[static_cast<std::size_t>(byte)] = static_cast<std::uint8_t>(limited(
            moved + layer.requantization.zero_point, layer.requantization.low, layer.requantization.high));
    }
}

/// Compute a table of 256 results for each operand of a concatenation.
void lower_concatenation(const Graph &graph, std::size_t index, IntegerLayer &layer) {
    const Node &node = graph.nodes()[index];
    const Quantization &result = quantization_of(graph, graph.result_of(index));
    layer.moved = AlignedBuffer<std::uint8_t>(256 * node.inputs.size());
    std::uint8_t *to = layer.moved.data();
    for (const engine::ValueId operand : node.inputs) {
        const std::array<std::uint8_t, 256> table = joined_integers(quantization_of(graph, operand), result);
        to = std::copy(table.begin(), table.end(), to);
    }
}

/// Set the zero point and limits of a reduction's result. IntegerSteps computes the factor of a mean, because
/// it depends on the input's shape, which is not known here.
void lower_reduction(const Graph &graph, std::size_t index, IntegerLayer &layer) {
    const Node &node = graph.nodes()[index];
    const Quantization &result = quantization_of(graph, graph.result_of(index));
    require_small_factor(node, factor_between(quantization_of(graph, node.inputs[0]), result));
    set_limits(layer.requantization, node, result);
}

void lower_function(const Graph &graph, std::size_t index, IntegerLayer &layer) {
    const Node &node = graph.nodes()[index];
    const std::array<std::uint8_t, 256> table =
        function_of_integers(node.operation.as<ops::Neuron>(), quantization_of(graph, node.inputs[0]),
                             quantization_of(graph, graph.result_of(index)));
    layer.moved = AlignedBuffer<std::uint8_t>(table.size());
    std::copy(table.begin(), table.end(), layer.moved.data());
}

/// Convert a constant to the result's integers, rounded to nearest, ties away from zero.
void lower_constant(const Graph &graph, std::size_t index, IntegerLayer &layer) {
    const Quantization &result = quantization_of(graph, graph.result_of(index));
    const std::vector<float> values = graph.nodes()[index].weights.at("value").values();
    layer.constant = AlignedBuffer<std::uint8_t>(values.size());
    std::transform(values.begin(), values.end(), layer.constant.data(), [&](float value) {
        const double moved =
            static_cast<double>(std::round(value / result.scale)) + stored(result, result.zero_point);
        return static_cast<std::uint8_t>(std::clamp(moved, 0.0, 255.0));
    });
}

/// Throw ParameterError if input and result differ in scale or zero point. Poolings, resizes and operations
/// that only move elements cannot change them.
void require_same(const Graph &graph, std::size_t index) {
    const Node &node = graph.nodes()[index];
    if (!(quantization_of(graph, node.inputs[0]) == quantization_of(graph, graph.result_of(index))))
        fail(ErrorKind::parameter, {name_of_layer(node), ": in int8 precision the quantization of its result "
                                                         "must be that of its input"});
}

} // namespace

std::shared_ptr<const IntegerLayer> lower_to_integers(const Graph &graph, std::size_t index,
                                                      const QuadKernels *quads) {
    auto layer = std::make_shared<IntegerLayer>();
    const Node &node = graph.nodes()[index];
    const auto limits = [&] {
        set_limits(layer->requantization, node, quantization_of(graph, graph.result_of(index)));
    };
    node.operation.visit([&]<class Op>(const Op &operation) {
        if constexpr (std::is_same_v<Op, ops::Addition> || std::is_same_v<Op, ops::Subtraction>)
            lower_sum(graph, index, *layer);
        else if constexpr (std::is_same_v<Op, ops::Multiplication>)
            lower_product(graph, index, *layer);
        else if constexpr (std::is_same_v<Op, ops::MatrixProduct>)
            lower_matrix_product(graph, index, *layer);
        else if constexpr (std::is_same_v<Op, ops::Softmax>)
            lower_softmax(graph, index, *layer);
        else if constexpr (std::is_same_v<Op, ops::LogSoftmax>)
            lower_log_softmax(graph, index, *layer);
        else if constexpr (std::is_same_v<Op, ops::LayerNormalization>)
            lower_unit_norm(graph, index);
        else if constexpr (std::is_same_v<Op, ops::Convolution> || std::is_same_v<Op, ops::FullyConnected>)
            lower_weighted_layer(graph, index, quads, *layer);
        else if constexpr (std::is_same_v<Op, ops::Concatenation>)
            lower_concatenation(graph, index, *layer);
        else if constexpr (std::is_same_v<Op, ops::Neuron>)
            ops::has_limits_only(operation) ? lower_limits(graph, index, *layer)
                                            : lower_function(graph, index, *layer);
        else if constexpr (std::is_same_v<Op, ops::Constant>)
            lower_constant(graph, index, *layer);
        else if constexpr (std::is_same_v<Op, ops::Reduction>)
            lower_reduction(graph, index, *layer);
        else if constexpr (std::is_same_v<Op, ops::Pooling>) {
            if (!is_mean_of_image(operation)) require_same(graph, index);
            limits();
        } else {
            require_same(graph, index);
            limits();
        }
    });
    return layer;
}

} // namespace mpscnn::cpu
