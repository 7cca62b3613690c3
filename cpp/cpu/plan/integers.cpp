// Computes the constants of int8 networks' layers (factors, biases, tables) as TensorFlow Lite's reference
// kernels do.

#include "cpu/plan/integers.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <optional>
#include <utility>

#include "core/error.h"
#include "core/text.h"
#include "cpu/kernels/tasks/fixed_point.h"
#include "cpu/plan/rounding_offset.h"
#include "ops/unsupported.h"

namespace mpscnn::cpu {

using engine::Graph;
using engine::Node;
using engine::Quantization;
using engine::ValueId;

namespace {

const Quantization &quantization_of(const Graph &graph, engine::ValueId value) {
    return *graph.quantization(value); // the table of unsupported features requires one
}

AlignedBuffer<std::int32_t> zeros(std::int64_t count) {
    AlignedBuffer<std::int32_t> buffer(static_cast<std::size_t>(count));
    std::fill_n(buffer.data(), buffer.size(), 0);
    return buffer;
}

/// Set the zero point and limits of the layer's result. The limits come from the range of its integers and
/// from its activation.
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

/// Throw ParameterError for a factor of 2^30 or more, which would shift 32-bit integers too far.
void require_not_far(const Node &node, const FixedPoint &factor) {
    if (factor.shift > 30)
        fail(ErrorKind::parameter,
             {name_of_layer(node), ": in int8 precision the scales of what it adds may be at "
                                   "most 2^30 times its result's"});
}

/// Computes the constants of a convolution or dense layer.
class ProductLowering {
public:
    ProductLowering(const Graph &graph, std::size_t index, const QuadKernels *quads, IntegerLayer &layer)
        : node_(graph.nodes()[index]), layer_(layer), source_(quantization_of(graph, node_.inputs[0])),
          result_(quantization_of(graph, graph.result_of(index))), quads_(quads) {}

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
        if (!has_quads())
            set_values();
        else if (layer_.weights.is_depthwise())
            set_depthwise_quads();
        else
            set_quads();
        if (has_quads() && quads_->has_factors && has_small_sums_) set_factors();
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
            rows_ = shape[1];
            columns_ = shape[2];
            weights.runs = convolution->window.dilation_x == 1 ? rows_ : weights.taps;
        } else {
            weights.inputs = shape.elements() / shape[0];
        }
        weights.outputs = shape[0] / weights.groups;
    }

    /// Return the number of per-output numbers (biases, factors) that kernels read. Each group has whole
    /// panels, a panel being the outputs that are computed together.
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
        const std::int64_t largest = 255 * 255 * layer_.weights.inputs * layer_.weights.taps;
        for (std::int64_t output = 0; output < outputs; ++output) {
            const auto i = static_cast<std::size_t>(output), at = static_cast<std::size_t>(place_of(output));
            const double product = product_of_scales(scales[scales.size() == 1 ? 0 : i]);
            const FixedPoint factor = fixed_point(product / static_cast<double>(result_.scale));
            require_not_far(node_, factor);
            layer_.multipliers[at] = factor.multiplier;
            layer_.shifts[at] = factor.shift;
            layer_.bias[at] = bias[i];
            has_small_sums_ &= std::abs(static_cast<std::int64_t>(bias[i])) + largest < sum_limit;
        }
    }

    /// Add the offsets of Requantization::factors to the biases, if all outputs have one.
    void set_factors() {
        const Requantization &to = layer_.requantization;
        AlignedBuffer<double> factors(2 * layer_.multipliers.size());
        AlignedBuffer<std::int32_t> bias(layer_.bias.size());
        constexpr std::size_t panel = IntegerWeights::panel;
        for (std::size_t i = 0; i < bias.size(); ++i) {
            const std::optional<RoundingOffset> own =
                rounding_offset(to, layer_.multipliers[i], layer_.shifts[i]);
            if (!own) return;
            bias[i] = static_cast<std::int32_t>(static_cast<std::uint32_t>(layer_.bias[i]) + own->sums);
            double *const to_panel =
                factors.data() + i / panel * 2 * panel + i % 2 * panel / 2 + i % panel / 2;
            to_panel[0] = own->factor;
            to_panel[panel] = own->added;
        }
        layer_.bias = std::move(bias);
        layer_.factors = std::move(factors);
        layer_.requantization.factors = layer_.factors.data();
    }

    /// Return the product of input scale and weight scale. For convolutions of uint8 it is rounded to
    /// float32.
    double product_of_scales(float scale) const {
        if (!source_.is_signed && std::holds_alternative<ops::Convolution>(node_.operation))
            return static_cast<double>(source_.scale * scale);
        return static_cast<double>(source_.scale) * static_cast<double>(scale);
    }

    /// Return the layer's biases, or zeros. Biases have the scale of the products; the scale in the file is
    /// ignored.
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

    /// Call visit(output, k, weight) for each weight minus its zero point. k numbers the weights of an
    /// output, by taps and then inputs.
    template <class Visit> void each_weight(Visit visit) const {
        const IntegerWeights &weights = layer_.weights;
        const std::vector<float> &zero_points = tensor_->zero_points();
        const auto *bytes = reinterpret_cast<const std::uint8_t *>(tensor_->data());
        const std::int64_t outputs = weights.groups * weights.outputs, depth = weights.taps * weights.inputs;
        for (std::int64_t output = 0; output < outputs; ++output) {
            const auto zero =
                static_cast<int>(zero_points[zero_points.size() == 1 ? 0 : static_cast<std::size_t>(output)]);
            for (std::int64_t k = 0; k < depth; ++k) visit(output, k, *bytes++ - zero);
        }
    }

    void set_values() {
        const IntegerWeights &weights = layer_.weights;
        const bool depthwise = weights.is_depthwise();
        const std::int64_t size = depthwise ? weights.taps * places() : places() * 2 * weights.pairs();
        layer_.values = AlignedBuffer<std::int16_t>(static_cast<std::size_t>(size));
        std::fill_n(layer_.values.data(), layer_.values.size(), std::int16_t{0});
        each_weight([&](std::int64_t output, std::int64_t k, int weight) {
            const std::int64_t place = depthwise ? k * places() + output : place_in_panel(output, k);
            layer_.values[static_cast<std::size_t>(place)] = static_cast<std::int16_t>(weight);
        });
    }

    /// True if the kernels for quads (sets of four 8-bit weights) support the weights. In depthwise layers,
    /// each weight must be the sum of two 8-bit integers.
    bool has_quads() const {
        const IntegerWeights &weights = layer_.weights;
        if (!quads_ || !weights.is_depthwise()) return quads_ && weights.groups == 1;
        bool fits = quads_->has_depthwise;
        each_weight([&](std::int64_t, std::int64_t, int weight) { fits &= weight <= 2 * 127; });
        return fits;
    }

    AlignedBuffer<std::int8_t> &zero_quads(AlignedBuffer<std::int8_t> &quads, std::int64_t count) const {
        quads = AlignedBuffer<std::int8_t>(static_cast<std::size_t>(count));
        std::fill_n(quads.data(), quads.size(), std::int8_t{0});
        return quads;
    }

    /// Subtract the input's zero point times the sum of the weights from each bias. Kernels can then multiply
    /// x itself, because the sum of (x - zero) * w is the sum of x * w minus zero times the sum of w, modulo
    /// 2^32. Kernels subtract `centre` from x themselves, so the zero point is reduced by it.
    void move_zero_point_to_bias() {
        const auto zero = static_cast<std::uint32_t>(stored(source_, source_.zero_point) - quads_->centre);
        each_weight([&](std::int64_t output, std::int64_t, int weight) {
            std::int32_t &bias = layer_.bias[static_cast<std::size_t>(output)];
            bias = static_cast<std::int32_t>(static_cast<std::uint32_t>(bias) -
                                             zero * static_cast<std::uint32_t>(weight));
        });
    }

    static int of_8_bits(int weight) { return std::clamp(weight, -128, 127); }

    void set_quads() {
        IntegerWeights &weights = layer_.weights;
        constexpr std::int64_t panel = IntegerWeights::panel;
        const std::int64_t steps = weights.quad_steps(), run = weights.inputs * weights.taps / weights.runs;
        AlignedBuffer<std::int8_t> &quads = zero_quads(layer_.quads, places() * steps * 4);
        weights.quads = quads.data();
        struct Rest {
            std::int64_t step, place;
            int weight;
        };
        std::vector<std::vector<Rest>> rests(static_cast<std::size_t>(weights.panels()));
        each_weight([&](std::int64_t output, std::int64_t k, int weight) {
            const std::int64_t step = k / run * weights.run_steps() + k % run / 4,
                               place = output % panel * 4 + k % run % 4;
            const int part = of_8_bits(weight);
            quads[static_cast<std::size_t>((output / panel * steps + step) * 4 * panel + place)] =
                static_cast<std::int8_t>(part);
            for (int left = weight - part; left != 0; left -= of_8_bits(left))
                rests[static_cast<std::size_t>(output / panel)].push_back({step, place, of_8_bits(left)});
        });
        move_zero_point_to_bias();

        layer_.rest_first = zeros(weights.panels() + 1);
        std::vector<std::int32_t> all_steps;
        std::vector<std::int8_t> all_quads;
        for (std::size_t p = 0; p < rests.size(); ++p) {
            const auto first = static_cast<std::size_t>(all_steps.size());
            for (const Rest &rest : rests[p]) {
                std::size_t i = first;
                const auto is_taken = [&] {
                    return all_quads[i * 4 * panel + static_cast<std::size_t>(rest.place)] != 0;
                };
                while (i < all_steps.size() && (all_steps[i] != rest.step || is_taken())) ++i;
                if (i == all_steps.size()) {
                    all_steps.push_back(static_cast<std::int32_t>(rest.step));
                    all_quads.resize(all_quads.size() + 4 * panel, 0);
                }
                all_quads[i * 4 * panel + static_cast<std::size_t>(rest.place)] =
                    static_cast<std::int8_t>(rest.weight);
            }
            layer_.rest_first[p + 1] = static_cast<std::int32_t>(all_steps.size());
        }
        if (all_steps.empty()) return;
        layer_.rest_steps = AlignedBuffer<std::int32_t>(all_steps.size());
        std::copy(all_steps.begin(), all_steps.end(), layer_.rest_steps.data());
        layer_.rest_quads = AlignedBuffer<std::int8_t>(all_quads.size());
        std::copy(all_quads.begin(), all_quads.end(), layer_.rest_quads.data());
        weights.rest_first = layer_.rest_first.data();
        weights.rest_steps = layer_.rest_steps.data();
        weights.rest_quads = layer_.rest_quads.data();
    }

    void set_depthwise_quads() {
        IntegerWeights &weights = layer_.weights;
        constexpr std::int64_t panel = IntegerWeights::panel;
        const std::int64_t part = (rows_ + 3) / 4 * columns_ * 4 * panel;
        AlignedBuffer<std::int8_t> &quads = zero_quads(layer_.quads, places() / panel * 2 * part);
        weights.quads = quads.data();
        each_weight([&](std::int64_t output, std::int64_t tap, int weight) {
            const std::int64_t row = tap / columns_, column = tap % columns_,
                               place = output / panel * 2 * part + (row / 4 * columns_ + column) * 4 * panel +
                                       output % panel * 4 + row % 4;
            quads[static_cast<std::size_t>(place)] = static_cast<std::int8_t>(of_8_bits(weight));
            quads[static_cast<std::size_t>(place + part)] =
                static_cast<std::int8_t>(weight - of_8_bits(weight));
        });
        move_zero_point_to_bias();
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
    const QuadKernels *const quads_;
    std::int64_t rows_ = 1, columns_ = 1; ///< of the window
    bool has_small_sums_ = true;          ///< true if all sums are below sum_limit
    const engine::WeightTensor *tensor_ = nullptr;
};

/// Set the factor of the layer's requantization, which is the same for all outputs. Kernels read one for each
/// output of a panel.
void set_factor(const FixedPoint &factor, const Node &node, IntegerLayer &layer) {
    require_not_far(node, factor);
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
    const bool is_activation = std::get<ops::Neuron>(node.operation).kind != ops::NeuronKind::none;
    const FixedPoint factor = is_activation ? fixed_point(static_cast<double>(own.scale / result.scale))
                                            : factor_between(own, result);
    require_not_far(node, factor);
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
    for (const ValueId operand : node.inputs) {
        const std::array<std::uint8_t, 256> table = joined_integers(quantization_of(graph, operand), result);
        to = std::copy(table.begin(), table.end(), to);
    }
}

/// Set the zero point and limits of a reduction's result. IntegerSteps computes the factor of a mean, because
/// it depends on the input's shape, which is not known here.
void lower_reduction(const Graph &graph, std::size_t index, IntegerLayer &layer) {
    const Node &node = graph.nodes()[index];
    const Quantization &result = quantization_of(graph, graph.result_of(index));
    require_not_far(node, factor_between(quantization_of(graph, node.inputs[0]), result));
    set_limits(layer.requantization, node, result);
}

void lower_function(const Graph &graph, std::size_t index, IntegerLayer &layer) {
    const Node &node = graph.nodes()[index];
    const std::array<std::uint8_t, 256> table =
        function_of_integers(std::get<ops::Neuron>(node.operation), quantization_of(graph, node.inputs[0]),
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

std::size_t IntegerLayer::bytes() const {
    return values.size() * sizeof(std::int16_t) + quads.size() + rest_quads.size() + moved.size() +
           constant.size() +
           (bias.size() + multipliers.size() + shifts.size() + rest_first.size() + rest_steps.size() +
            table.size()) *
               sizeof(std::int32_t) +
           factors.size() * sizeof(double);
}

std::shared_ptr<const IntegerLayer> lower_to_integers(const Graph &graph, std::size_t index,
                                                      const QuadKernels *quads) {
    auto layer = std::make_shared<IntegerLayer>();
    const Node &node = graph.nodes()[index];
    const auto limits = [&] {
        set_limits(layer->requantization, node, quantization_of(graph, graph.result_of(index)));
    };
    std::visit(
        [&]<class Op>(const Op &operation) {
            if constexpr (std::is_same_v<Op, ops::Addition> || std::is_same_v<Op, ops::Subtraction>)
                lower_sum(graph, index, *layer);
            else if constexpr (std::is_same_v<Op, ops::Multiplication>)
                lower_product(graph, index, *layer);
            else if constexpr (std::is_same_v<Op, ops::Softmax>)
                lower_softmax(graph, index, *layer);
            else if constexpr (std::is_same_v<Op, ops::LogSoftmax>)
                lower_log_softmax(graph, index, *layer);
            else if constexpr (std::is_same_v<Op, ops::LayerNormalization>)
                lower_unit_norm(graph, index);
            else if constexpr (std::is_same_v<Op, ops::Convolution> ||
                               std::is_same_v<Op, ops::FullyConnected>)
                ProductLowering(graph, index, quads, *layer).run();
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
        },
        node.operation);
    return layer;
}

} // namespace mpscnn::cpu
