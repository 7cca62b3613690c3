// What layers of int8 networks compute with, as TensorFlow Lite's reference kernels prepare it.

#include "cpu/plan/integers.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "core/error.h"
#include "core/text.h"
#include "cpu/kernels/tasks/fixed_point.h"

namespace mpscnn::cpu {

using engine::Graph;
using engine::Node;
using engine::Quantization;
using engine::ValueId;

namespace {

/// A factor in fixed-point arithmetic.
struct FixedPoint {
    std::int32_t multiplier = 0, shift = 0;
};

/// As m * 2^(shift - 31) with m of 31 bits; zero below 2^-32.
FixedPoint fixed_point(double factor) {
    int shift = 0;
    auto m = static_cast<std::int64_t>(std::round(std::frexp(factor, &shift) * 2147483648.0));
    if (m == std::int64_t{1} << 31) m /= 2, ++shift;
    if (shift < -31) return {};
    return {static_cast<std::int32_t>(m), shift};
}

const Quantization &quantization_of(const Graph &graph, engine::ValueId value) {
    return *graph.quantization(value); // which the table of unsupported features requires
}

AlignedBuffer<std::int32_t> zeros(std::int64_t count) {
    AlignedBuffer<std::int32_t> buffer(static_cast<std::size_t>(count));
    std::fill_n(buffer.data(), buffer.size(), 0);
    return buffer;
}

/// Limits of an activation that ends the layer.
void set_limits(Requantization &to, const Node &node, const Quantization &result) {
    constexpr float infinity = std::numeric_limits<float>::infinity();
    float low = -infinity, high = infinity;
    const auto *own = std::get_if<ops::Neuron>(&node.operation);
    for (const ops::Neuron *activation : {own, node.activation ? &*node.activation : nullptr}) {
        if (!activation || activation->kind == ops::NeuronKind::none) continue;
        const bool is_clamp = activation->kind == ops::NeuronKind::clamp;
        low = std::max(low, is_clamp ? activation->lower_limit() : 0.0f);
        if (is_clamp) high = std::min(high, activation->upper_limit());
        if (activation->kind == ops::NeuronKind::relun) high = std::min(high, activation->b);
    }
    const auto limit = [&](float end) {
        const double integer = static_cast<double>(std::round(end / result.scale)) + result.zero_point;
        return static_cast<int>(std::clamp<double>(integer, result.lowest(), result.highest()));
    };
    to.zero_point = stored(result, result.zero_point);
    to.low = stored(result, limit(low));
    to.high = stored(result, limit(high));
}

std::string name_of_layer(const Node &node) { return concat({"layer ", quoted(node.name)}); }

/// Shifts are below the 32 bits of what they move.
void require_not_far(const Node &node, const FixedPoint &factor) {
    if (factor.shift > 30)
        fail(ErrorKind::parameter,
             {name_of_layer(node), ": in int8 precision the scales of what it adds may be at "
                                   "most 2^30 times its result's"});
}

/// Of a convolution or dense layer.
class ProductLowering {
public:
    ProductLowering(const Graph &graph, std::size_t index, bool by_quads, IntegerLayer &layer)
        : node_(graph.nodes()[index]), layer_(layer), source_(quantization_of(graph, node_.inputs[0])),
          result_(quantization_of(graph, graph.result_of(index))), by_quads_(by_quads) {}

    void run() {
        const auto found = node_.weights.find("weight");
        if (found == node_.weights.end() || found->second.type() != engine::WeightType::uint8 ||
            !found->second.factors().empty())
            fail(ErrorKind::weights, {name_of_layer(node_), ": int8 precision needs weights that are 8-bit "
                                                            "integers with scales and zero points"});
        tensor_ = &found->second;
        for (const float zero_point : tensor_->zero_points())
            if (!(zero_point >= 0.0f && zero_point <= 255.0f && std::trunc(zero_point) == zero_point))
                fail(ErrorKind::weights, {name_of_layer(node_),
                                          ": in int8 precision the zero points of weights "
                                          "are integers from 0 to 255, got ",
                                          zero_point});
        set_shape();
        set_limits(layer_.requantization, node_, result_);
        layer_.requantization.once = std::holds_alternative<ops::FullyConnected>(node_.operation);
        layer_.bias = zeros(places());
        layer_.multipliers = zeros(places());
        layer_.shifts = zeros(places());
        set_outputs();
        if (has_quads())
            set_quads();
        else
            set_values();
        layer_.weights.values = layer_.values.data();
        layer_.weights.bias = layer_.bias.data();
        layer_.requantization.multipliers = layer_.multipliers.data();
        layer_.requantization.shifts = layer_.shifts.data();
    }

private:
    void set_shape() {
        const Shape &shape = tensor_->shape();
        IntegerWeights &weights = layer_.weights;
        if (const auto *convolution = std::get_if<ops::Convolution>(&node_.operation)) {
            weights.groups = convolution->groups;
            weights.inputs = shape[3];
            weights.taps = shape[1] * shape[2];
        } else {
            weights.inputs = shape.elements() / shape[0];
        }
        weights.outputs = shape[0] / weights.groups;
    }

    /// What is read of biases and other numbers of outputs: whole panels of each group.
    std::int64_t places() const {
        const IntegerWeights &weights = layer_.weights;
        constexpr std::int64_t panel = IntegerWeights::panel, twice = 2 * panel;
        if (weights.is_depthwise()) return (weights.groups + twice - 1) / twice * twice;
        return weights.groups * weights.panels() * panel;
    }
    std::int64_t place_of(std::int64_t output) const {
        const IntegerWeights &weights = layer_.weights;
        if (weights.is_depthwise()) return output;
        const std::int64_t group = output / weights.outputs, own = output % weights.outputs;
        return group * weights.panels() * IntegerWeights::panel + own;
    }

    void set_outputs() {
        const std::vector<float> &scales = tensor_->scales();
        const std::int64_t outputs = layer_.weights.groups * layer_.weights.outputs;
        const std::vector<std::int32_t> bias = biases(outputs);
        for (std::int64_t output = 0; output < outputs; ++output) {
            const auto i = static_cast<std::size_t>(output), at = static_cast<std::size_t>(place_of(output));
            const double product = product_of_scales(scales[scales.size() == 1 ? 0 : i]);
            const FixedPoint factor = fixed_point(product / static_cast<double>(result_.scale));
            require_not_far(node_, factor);
            layer_.multipliers[at] = factor.multiplier;
            layer_.shifts[at] = factor.shift;
            layer_.bias[at] = bias[i];
        }
    }

    /// A float32 number for convolutions of uint8.
    double product_of_scales(float scale) const {
        if (!source_.is_signed && std::holds_alternative<ops::Convolution>(node_.operation))
            return static_cast<double>(source_.scale * scale);
        return static_cast<double>(source_.scale) * static_cast<double>(scale);
    }

    /// Whose scale is that of the products, whatever it is said to be.
    std::vector<std::int32_t> biases(std::int64_t outputs) const {
        std::vector<std::int32_t> integers(static_cast<std::size_t>(outputs), 0);
        const auto found = node_.weights.find("bias");
        if (found == node_.weights.end()) return integers;
        if (found->second.type() != engine::WeightType::int32)
            fail(ErrorKind::weights, {name_of_layer(node_), ": int8 precision needs biases that are 32-bit "
                                                            "integers with the scale of its products"});
        std::memcpy(integers.data(), found->second.data(), integers.size() * sizeof(std::int32_t));
        return integers;
    }

    void set_values() {
        IntegerWeights &weights = layer_.weights;
        const bool depthwise = weights.is_depthwise();
        const std::int64_t size = depthwise ? weights.taps * places() : places() * 2 * weights.pairs();
        layer_.values = AlignedBuffer<std::int16_t>(static_cast<std::size_t>(size));
        std::fill_n(layer_.values.data(), layer_.values.size(), std::int16_t{0});
        const std::vector<float> &zero_points = tensor_->zero_points();
        const auto *bytes = reinterpret_cast<const std::uint8_t *>(tensor_->data());
        const std::int64_t outputs = weights.groups * weights.outputs, depth = weights.taps * weights.inputs;
        for (std::int64_t output = 0; output < outputs; ++output) {
            const auto zero =
                static_cast<int>(zero_points[zero_points.size() == 1 ? 0 : static_cast<std::size_t>(output)]);
            for (std::int64_t k = 0; k < depth; ++k)
                layer_.values[static_cast<std::size_t>(depthwise ? k * places() + output
                                                                 : place_in_panel(output, k))] =
                    static_cast<std::int16_t>(*bytes++ - zero);
        }
    }

    /// One zero point for all: what it adds to an output's sum is then the same for all.
    bool has_quads() const {
        const std::vector<float> &zero_points = tensor_->zero_points();
        return by_quads_ && layer_.weights.groups == 1 &&
               std::all_of(zero_points.begin(), zero_points.end(),
                           [&](float zero_point) { return zero_point == zero_points[0]; });
    }

    /// sum of (x - zero) * w is sum of x * quad + quad_offset * sum of x - zero * sum of w, as w is quad +
    /// quad_offset. All modulo 2^32.
    void set_quads() {
        IntegerWeights &weights = layer_.weights;
        constexpr std::int64_t panel = IntegerWeights::panel;
        const std::int64_t steps = weights.quad_steps(), depth = weights.taps * weights.inputs;
        layer_.quads = AlignedBuffer<std::int8_t>(static_cast<std::size_t>(places() * steps * 4));
        std::fill_n(layer_.quads.data(), layer_.quads.size(), std::int8_t{0});
        weights.quads = layer_.quads.data();
        weights.quad_offset = 128 - static_cast<int>(tensor_->zero_points()[0]);
        const auto zero = static_cast<std::uint32_t>(stored(source_, source_.zero_point));
        const auto *bytes = reinterpret_cast<const std::uint8_t *>(tensor_->data());
        for (std::int64_t output = 0; output < weights.outputs; ++output) {
            std::uint32_t sum = 0;
            for (std::int64_t k = 0; k < depth; ++k) {
                const int quad = *bytes++ - 128;
                const std::int64_t place =
                    (output / panel * steps + k / 4) * 4 * panel + output % panel * 4 + k % 4;
                layer_.quads[static_cast<std::size_t>(place)] = static_cast<std::int8_t>(quad);
                sum += static_cast<std::uint32_t>(quad + weights.quad_offset);
            }
            std::int32_t &bias = layer_.bias[static_cast<std::size_t>(output)];
            bias = static_cast<std::int32_t>(static_cast<std::uint32_t>(bias) - zero * sum);
        }
    }

    std::int64_t place_in_panel(std::int64_t output, std::int64_t k) const {
        constexpr std::int64_t panel = IntegerWeights::panel;
        const std::int64_t place = place_of(output);
        return place / panel * panel * 2 * layer_.weights.pairs() + k / 2 * 2 * panel + place % panel * 2 +
               k % 2;
    }

    const Node &node_;
    IntegerLayer &layer_;
    const Quantization source_, result_;
    const bool by_quads_;
    const engine::WeightTensor *tensor_ = nullptr;
};

/// Both operands with 20 more bits, halved and brought to the larger scale.
void lower_sum(const Graph &graph, std::size_t index, IntegerLayer &layer) {
    const Node &node = graph.nodes()[index];
    const Quantization &a = quantization_of(graph, node.inputs[0]),
                       &b = quantization_of(graph, node.inputs[1]),
                       &result = quantization_of(graph, graph.result_of(index));
    const double largest = 2.0 * static_cast<double>(std::max(a.scale, b.scale));
    layer.table = zeros(512);
    std::int32_t *term = layer.table.data();
    for (const Quantization *operand : {&a, &b}) {
        const FixedPoint factor = fixed_point(static_cast<double>(operand->scale) / largest);
        for (int byte = 0; byte < 256; ++byte)
            *term++ = rounded_twice((byte - stored(*operand, operand->zero_point)) * (1 << 20),
                                    factor.multiplier, factor.shift);
    }
    const FixedPoint factor = fixed_point(largest / (1048576.0 * static_cast<double>(result.scale)));
    require_not_far(node, factor);
    layer.multipliers = AlignedBuffer<std::int32_t>(IntegerWeights::panel);
    layer.shifts = AlignedBuffer<std::int32_t>(IntegerWeights::panel);
    std::fill_n(layer.multipliers.data(), layer.multipliers.size(), factor.multiplier);
    std::fill_n(layer.shifts.data(), layer.shifts.size(), factor.shift);
    layer.requantization.multipliers = layer.multipliers.data();
    layer.requantization.shifts = layer.shifts.data();
    set_limits(layer.requantization, node, result);
}

/// e^a for a <= 0 with 26 bits behind the point, as a fraction of 31 bits: a polynomial for the quarter that
/// is left, times a constant for each bit before it.
std::int32_t exponential(std::int32_t a) {
    if (a == 0) return std::numeric_limits<std::int32_t>::max();
    constexpr std::int32_t quarter = 1 << 24;
    const std::int32_t part = (a & (quarter - 1)) - quarter, remainder = part - a;
    const std::int32_t x = part * 32 + (1 << 28), x2 = high_product(x, x), x3 = high_product(x2, x),
                       x4 = high_product(x2, x2);
    const std::int32_t inner = high_product(rounding_shift(x4, 2) + x3, 715827883) + x2;
    std::int32_t result = 1895147668 + high_product(x + rounding_shift(inner, 1), 1895147668);
    constexpr std::int32_t factors[] = {1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242};
    for (int bit = 0; bit < 7; ++bit)
        if (remainder & (1 << (24 + bit))) result = high_product(result, factors[bit]);
    return result;
}

void lower_softmax(const Graph &graph, std::size_t index, IntegerLayer &layer) {
    const Node &node = graph.nodes()[index];
    const Quantization &source = quantization_of(graph, node.inputs[0]),
                       &result = quantization_of(graph, graph.result_of(index));
    if (result.scale != 1.0f / 256.0f || result.zero_point != result.lowest())
        fail(ErrorKind::parameter,
             {name_of_layer(node), ": the integers of a softmax's result have the scale "
                                   "1/256 and the zero point 0 (uint8) or -128 (int8)"});
    const double factor = std::min(static_cast<double>(source.scale) * 67108864.0, 2147483647.0);
    if (!(factor > 1.0))
        fail(ErrorKind::parameter, {name_of_layer(node),
                                    ": in int8 precision the scale of a softmax's input "
                                    "must be above 2^-26, got ",
                                    source.scale});
    const FixedPoint scale = fixed_point(factor);
    const double farthest = std::floor(31.0 * 67108864.0 / std::ldexp(1.0, scale.shift));
    layer.table = zeros(256);
    for (int distance = 0; distance < 256; ++distance)
        layer.table[static_cast<std::size_t>(distance)] =
            distance > farthest
                ? -1
                : exponential(high_product(
                      static_cast<std::int32_t>(-static_cast<std::int64_t>(distance) * (1LL << scale.shift)),
                      scale.multiplier));
}

/// What becomes of the integers of each operand when they get the result's scale and zero point.
void lower_moves(const Graph &graph, std::size_t index, IntegerLayer &layer) {
    const Node &node = graph.nodes()[index];
    const Quantization &result = quantization_of(graph, graph.result_of(index));
    set_limits(layer.requantization, node, result);
    layer.moved = AlignedBuffer<std::uint8_t>(256 * node.inputs.size());
    std::uint8_t *to = layer.moved.data();
    for (const ValueId operand : node.inputs) {
        const Quantization &own = quantization_of(graph, operand);
        const FixedPoint factor =
            fixed_point(static_cast<double>(own.scale) / static_cast<double>(result.scale));
        require_not_far(node, factor);
        for (int byte = 0; byte < 256; ++byte) {
            const std::int64_t moved =
                rounded_twice(byte - stored(own, own.zero_point), factor.multiplier, factor.shift);
            *to++ = static_cast<std::uint8_t>(limited(moved + layer.requantization.zero_point,
                                                      layer.requantization.low, layer.requantization.high));
        }
    }
}

/// Poolings and reshapes do not change what integers stand for.
void require_same(const Graph &graph, std::size_t index) {
    const Node &node = graph.nodes()[index];
    if (!(quantization_of(graph, node.inputs[0]) == quantization_of(graph, graph.result_of(index))))
        fail(ErrorKind::parameter, {name_of_layer(node), ": in int8 precision the quantization of its result "
                                                         "must be that of its input"});
}

} // namespace

std::size_t IntegerLayer::bytes() const {
    return values.size() * sizeof(std::int16_t) + quads.size() + moved.size() +
           (bias.size() + multipliers.size() + shifts.size() + table.size()) * sizeof(std::int32_t);
}

std::shared_ptr<const IntegerLayer> lower_to_integers(const Graph &graph, std::size_t index, bool by_quads) {
    auto layer = std::make_shared<IntegerLayer>();
    const Node &node = graph.nodes()[index];
    if (std::holds_alternative<ops::Addition>(node.operation)) {
        lower_sum(graph, index, *layer);
    } else if (std::holds_alternative<ops::Softmax>(node.operation)) {
        lower_softmax(graph, index, *layer);
    } else if (std::holds_alternative<ops::Convolution>(node.operation) ||
               std::holds_alternative<ops::FullyConnected>(node.operation)) {
        ProductLowering(graph, index, by_quads, *layer).run();
    } else if (std::holds_alternative<ops::Neuron>(node.operation) ||
               std::holds_alternative<ops::Concatenation>(node.operation)) {
        lower_moves(graph, index, *layer);
    } else {
        require_same(graph, index);
        set_limits(layer->requantization, node, quantization_of(graph, graph.result_of(index)));
    }
    return layer;
}

} // namespace mpscnn::cpu
