#include "cpu/plan/integer_weighted_layers.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "core/error.h"
#include "cpu/kernels/tasks/fixed_point.h"
#include "cpu/plan/layer_offsets.h"
#include "cpu/plan/rounding_offset.h"

namespace mpscnn::cpu {

using engine::Graph;
using engine::Node;
using engine::Quantization;

namespace {

/// Computes the constants of a convolution or dense layer.
class WeightedLayerLowering {
public:
    WeightedLayerLowering(const Graph &graph, std::size_t index, const QuadKernels *quads,
                          IntegerLayer &layer)
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
        const auto *convolution = node_.operation.get_if<ops::Convolution>();
        layer_.requantization.once = !convolution || convolution->rounds_once;
        layer_.bias = zeros(places());
        layer_.multipliers = zeros(places());
        layer_.shifts = zeros(places());
        set_outputs();
        if (!has_quads())
            set_values();
        else if (layer_.weights.is_depthwise())
            set_depthwise_quads();
        else if (!quads_->adds_in_pairs)
            set_quads();
        else if (has_few_wide_steps())
            set_quads_by_pairs();
        else
            set_values();
        set_offsets();
        layer_.weights.values = layer_.values.data();
        layer_.weights.bias = layer_.bias.data();
        layer_.requantization.multipliers = layer_.multipliers.data();
        layer_.requantization.shifts = layer_.shifts.data();
    }

private:
    void set_shape() {
        const Shape &shape = tensor_->shape();
        IntegerWeights &weights = layer_.weights;
        if (const auto *convolution = node_.operation.get_if<ops::Convolution>()) {
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
            require_small_factor(node_, factor);
            layer_.multipliers[at] = factor.multiplier;
            layer_.shifts[at] = factor.shift;
            layer_.bias[at] = bias[i];
            has_small_sums_ &= std::abs(static_cast<std::int64_t>(bias[i])) + largest < sum_limit;
        }
    }

    /// Let the kernel round once, if it and the layer's factors and sums allow that. With AVX2 the kernel for
    /// pairs of inputs supports Requantization::factors, too.
    void set_offsets() {
        if (!quads_) return;
        if (quads_->has_floats && layer_.weights.quads) {
            // The least and the largest sum of bytes and weights. Places without an output have no weights.
            std::vector<std::int64_t> least(layer_.bias.data(), layer_.bias.data() + layer_.bias.size()),
                most = least;
            each_weight([&](std::int64_t output, std::int64_t, int weight) {
                (weight < 0 ? least : most)[static_cast<std::size_t>(place_of(output))] += 255 * weight;
            });
            if (set_floats(layer_, least, most)) return;
        }
        if (quads_->has_factors && has_small_sums_ && (layer_.weights.quads || quads_->adds_in_pairs))
            set_factors(layer_);
    }

    /// Return the product of input scale and weight scale. For convolutions of uint8 that round twice it is
    /// rounded to float32.
    double product_of_scales(float scale) const {
        if (!source_.is_signed && !layer_.requantization.once)
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

    /// Return the first stored weight of an output.
    const std::uint8_t *bytes_of(std::int64_t output, std::int64_t depth) const {
        return reinterpret_cast<const std::uint8_t *>(tensor_->data()) + output * depth;
    }
    int zero_point_of(std::int64_t output) const {
        const std::vector<float> &zero_points = tensor_->zero_points();
        return static_cast<int>(zero_points[zero_points.size() == 1 ? 0 : static_cast<std::size_t>(output)]);
    }

    /// Call visit(output, k, weight) for each weight minus its zero point. k numbers the weights of an
    /// output, by taps and then inputs.
    template <class Visit> void each_weight(Visit visit) const {
        const IntegerWeights &weights = layer_.weights;
        const std::int64_t outputs = weights.groups * weights.outputs, depth = weights.taps * weights.inputs;
        const std::uint8_t *bytes = bytes_of(0, depth);
        for (std::int64_t output = 0; output < outputs; ++output) {
            const int zero = zero_point_of(output);
            for (std::int64_t k = 0; k < depth; ++k) visit(output, k, *bytes++ - zero);
        }
    }

    void set_values() {
        const IntegerWeights &weights = layer_.weights;
        const bool depthwise = weights.is_depthwise();
        const std::int64_t size = depthwise ? weights.taps * places() : places() * 2 * weights.pairs();
        layer_.values = AlignedBuffer<std::int16_t>(static_cast<std::size_t>(size));
        std::fill_n(layer_.values.data(), layer_.values.size(), std::int16_t{0});
        const std::int64_t step = depthwise ? places() : 2 * IntegerWeights::panel;
        const std::int64_t in_step = depthwise ? 1 : 2, depth = weights.taps * weights.inputs;
        for (std::int64_t output = 0; output < weights.groups * weights.outputs; ++output) {
            const std::uint8_t *bytes = bytes_of(output, depth);
            const int zero = zero_point_of(output);
            std::int16_t *to = layer_.values.data() + (depthwise ? output : first_in_panel(output));
            for (std::int64_t k = 0; k < depth; k += in_step, to += step)
                for (std::int64_t i = 0; i < std::min(in_step, depth - k); ++i)
                    to[i] = static_cast<std::int16_t>(*bytes++ - zero);
        }
        if (!depthwise) set_products();
    }

    /// Compute IntegerWeights::products modulo 2^32.
    void set_products() {
        constexpr std::int64_t panel = IntegerWeights::panel;
        const std::int64_t pairs = layer_.weights.pairs();
        layer_.products = zeros(places());
        const std::int16_t *values = layer_.values.data();
        for (std::int64_t first = 0; first < places(); first += panel, values += 2 * panel * pairs)
            for (std::int64_t k = 0; k + 1 < pairs; k += 2)
                for (std::int64_t i = 0; i < 2 * panel; ++i) {
                    std::int32_t &sum = layer_.products[static_cast<std::size_t>(first + i / 2)];
                    const int product = values[2 * panel * k + i] * values[2 * panel * (k + 1) + i];
                    sum = static_cast<std::int32_t>(static_cast<std::uint32_t>(sum) +
                                                    static_cast<std::uint32_t>(product));
                }
        layer_.weights.products = layer_.products.data();
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

    /// One step of a panel: the weights of its outputs, and the sums of positive and of negative weights of
    /// each two inputs.
    struct PanelStep {
        static constexpr std::size_t outputs = IntegerWeights::panel;
        std::int16_t weights[outputs][4] = {}, positive[2 * outputs] = {}, negative[2 * outputs] = {};

        void set(std::size_t output, std::size_t input, int weight) {
            weights[output][input] = static_cast<std::int16_t>(weight);
            std::int16_t &sum = (weight > 0 ? positive : negative)[2 * output + input / 2];
            // A weight beyond 8 bits does not fit, even if its sum does.
            sum = static_cast<std::int16_t>(sum + (weight == of_8_bits(weight) ? weight : 4 * weight));
        }
        /// Return true if sums of products fit 16 bits: those of this step, or of both steps.
        bool fits(const PanelStep *second) const {
            unsigned beyond = 0; // without branches, because nearly all fit
            for (std::size_t i = 0; i < 2 * outputs; ++i) {
                const int above = positive[i] + (second ? second->positive[i] : 0),
                          below = negative[i] + (second ? second->negative[i] : 0);
                beyond |= static_cast<unsigned>(128 - above) | static_cast<unsigned>(128 + below);
            }
            return beyond >> 31 == 0;
        }
    };

    /// Return false if kernels for pairs of inputs are faster than those for QuadKernels::adds_in_pairs. With
    /// few inputs they never are.
    bool has_few_wide_steps() const {
        const IntegerWeights &weights = layer_.weights;
        constexpr std::int64_t panel = IntegerWeights::panel, min_inputs = 32;
        const std::int64_t steps = weights.quad_steps(), depth = weights.taps * weights.inputs;
        if (depth < min_inputs) return true;
        const auto most =
            static_cast<std::int64_t>(quads_->max_wide * static_cast<float>(steps * weights.panels()));
        std::vector<std::uint8_t> is_wide(static_cast<std::size_t>(steps));
        std::int64_t wide = 0;
        for (std::int64_t first = 0; first < weights.outputs && wide <= most; first += panel) {
            std::fill(is_wide.begin(), is_wide.end(), std::uint8_t{0});
            const std::int64_t end = std::min(first + panel, weights.outputs);
            for (std::int64_t output = first; output < end; ++output) mark_wide_steps(output, depth, is_wide);
            wide += std::count(is_wide.begin(), is_wide.end(), 1);
        }
        return wide <= most;
    }

    /// Set is_wide[step] to 1 for the steps in which this output does not fit (see PanelStep::fits). Two
    /// 8-bit weights of unequal signs always fit, so their sum decides.
    void mark_wide_steps(std::int64_t output, std::int64_t depth, std::vector<std::uint8_t> &is_wide) const {
        const std::int64_t run = depth / layer_.weights.runs;
        const std::uint8_t *bytes = bytes_of(output, depth);
        const int zero = zero_point_of(output);
        const auto is_outside = [](int low, int high, int value) __attribute__((always_inline)) {
            return static_cast<int>(static_cast<unsigned>(value - low) > static_cast<unsigned>(high - low));
        };
        const auto is_beyond = [&](int a, int b) __attribute__((always_inline)) {
            return is_outside(-128, 127, a) | is_outside(-128, 127, b) | is_outside(-128, 128, a + b);
        };
        std::uint8_t *mark = is_wide.data();
        for (std::int64_t k = 0; k < depth; k += run, bytes += run) {
            const std::int64_t whole = run / 4;
            for (std::int64_t i = 0; i < whole; ++i) {
                const std::uint8_t *const own = bytes + 4 * i;
                mark[i] = static_cast<std::uint8_t>(mark[i] | is_beyond(own[0] - zero, own[1] - zero) |
                                                    is_beyond(own[2] - zero, own[3] - zero));
            }
            mark += whole;
            if (run % 4 == 0) continue;
            int rest[4] = {};
            for (std::int64_t i = 0; i < run % 4; ++i) rest[i] = bytes[4 * whole + i] - zero;
            *mark =
                static_cast<std::uint8_t>(*mark | is_beyond(rest[0], rest[1]) | is_beyond(rest[2], rest[3]));
            ++mark;
        }
    }

    /// Pack the weights for QuadKernels::adds_in_pairs.
    void set_quads_by_pairs() {
        IntegerWeights &weights = layer_.weights;
        constexpr std::int64_t panel = IntegerWeights::panel;
        const std::int64_t steps = weights.quad_steps(), panels = weights.panels(), count = steps * panels,
                           depth = weights.taps * weights.inputs, run = depth / weights.runs;
        AlignedBuffer<std::int8_t> &quads = zero_quads(layer_.quads, count * step_bytes);
        layer_.step_order = zeros(count);
        layer_.doubles = zeros(panels), layer_.narrow = zeros(panels);
        layer_.wide_first = AlignedBuffer<std::int64_t>(static_cast<std::size_t>(panels));
        std::vector<std::int16_t> wides;
        std::vector<PanelStep> own(static_cast<std::size_t>(steps));
        std::vector<std::int32_t> order, singles, last;
        for (std::int64_t p = 0; p < panels; ++p) {
            set_panel(own, p * panel, depth, run);
            order.clear(), singles.clear(), last.clear();
            for (std::int32_t i = 0; i < steps; ++i) {
                const PanelStep &step = own[static_cast<std::size_t>(i)];
                if (!step.fits(nullptr))
                    last.push_back(i);
                else if (!singles.empty() && step.fits(&own[static_cast<std::size_t>(singles.back())]))
                    order.insert(order.end(), {singles.back(), i}), singles.pop_back();
                else
                    singles.push_back(i);
            }
            const auto at = static_cast<std::size_t>(p);
            layer_.doubles[at] = static_cast<std::int32_t>(order.size() / 2);
            order.insert(order.end(), singles.begin(), singles.end());
            layer_.narrow[at] = static_cast<std::int32_t>(order.size());
            layer_.wide_first[at] = std::ssize(wides);
            std::int8_t *to = quads.data() + p * steps * step_bytes;
            for (const std::int32_t i : order)
                for (const auto &four : own[static_cast<std::size_t>(i)].weights)
                    for (const int weight : four) *to++ = static_cast<std::int8_t>(weight);
            for (const std::int32_t i : last) append_wide(own[static_cast<std::size_t>(i)], wides);
            order.insert(order.end(), last.begin(), last.end());
            std::int32_t *places = layer_.step_order.data() + p * steps;
            for (const std::int32_t i : order) *places++ = weights.runs == 1 ? 4 * i : i;
        }
        move_zero_point_to_bias();
        layer_.wides = AlignedBuffer<std::int16_t>(wides.size());
        std::copy(wides.begin(), wides.end(), layer_.wides.data());
        weights.quads = quads.data();
        weights.step_order = layer_.step_order.data();
        weights.doubles = layer_.doubles.data();
        weights.narrow = layer_.narrow.data();
        weights.wide_first = layer_.wide_first.data();
        weights.wides = layer_.wides.data();
    }

    /// The number of weights of a panel's step.
    static constexpr std::int64_t step_bytes = 4 * IntegerWeights::panel;

    /// Set the steps of the panel whose outputs begin at `first`.
    void set_panel(std::vector<PanelStep> &steps, std::int64_t first, std::int64_t depth,
                   std::int64_t run) const {
        std::fill(steps.begin(), steps.end(), PanelStep{});
        const std::uint8_t *bytes = bytes_of(first, depth);
        const std::int64_t outputs = std::min(layer_.weights.outputs - first, IntegerWeights::panel);
        for (std::int64_t output = 0; output < outputs; ++output) {
            const int zero = zero_point_of(first + output);
            auto step = steps.begin();
            for (std::int64_t k = 0; k < depth; k += run)
                for (std::int64_t i = 0; i < run; ++i, ++bytes) {
                    step->set(static_cast<std::size_t>(output), static_cast<std::size_t>(i % 4),
                              *bytes - zero);
                    if (i % 4 == 3 || i + 1 == run) ++step;
                }
        }
    }

    /// Append the weights of a panel's step in the order of IntegerWeights::wides.
    static void append_wide(const PanelStep &step, std::vector<std::int16_t> &to) {
        for (std::size_t half = 0; half < 2; ++half)
            for (std::size_t two = 0; two < 4; two += 2)
                for (std::size_t output = 0; output < 8; ++output)
                    for (std::size_t i = 0; i < 2; ++i)
                        to.push_back(step.weights[8 * half + output][two + i]);
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

    /// Return the place of an output's first weight in IntegerWeights::values. Pairs follow each other at
    /// distances of two panels.
    std::int64_t first_in_panel(std::int64_t output) const {
        constexpr std::int64_t panel = IntegerWeights::panel;
        const std::int64_t place = place_of(output);
        return place / panel * panel * 2 * layer_.weights.pairs() + place % panel * 2;
    }

    const Node &node_;
    IntegerLayer &layer_;
    const Quantization source_, result_;
    const QuadKernels *const quads_;
    std::int64_t rows_ = 1, columns_ = 1; ///< of the window
    bool has_small_sums_ = true;          ///< true if all sums are below sum_limit
    const engine::WeightTensor *tensor_ = nullptr;
};

} // namespace

void lower_weighted_layer(const Graph &graph, std::size_t node, const QuadKernels *quads,
                          IntegerLayer &layer) {
    WeightedLayerLowering(graph, node, quads, layer).run();
}

} // namespace mpscnn::cpu
