#include "cpu/plan/integer_layer.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/error.h"
#include "core/text.h"

namespace mpscnn::cpu {

using engine::Graph;
using engine::Node;
using engine::Quantization;

std::size_t IntegerLayer::bytes() const {
    return (values.size() + wides.size()) * sizeof(std::int16_t) + wide_first.size() * sizeof(std::int64_t) +
           quads.size() + rest_quads.size() + moved.size() + constant.size() +
           (products.size() + bias.size() + multipliers.size() + shifts.size() + rest_first.size() +
            rest_steps.size() + step_order.size() + doubles.size() + narrow.size() + table.size()) *
               sizeof(std::int32_t) +
           factors.size() * sizeof(double) + floats.size() * sizeof(float);
}

const Quantization &quantization_of(const Graph &graph, engine::ValueId value) {
    return *graph.quantization(value); // the table of unsupported features requires one
}

AlignedBuffer<std::int32_t> zeros(std::int64_t count) {
    AlignedBuffer<std::int32_t> buffer(static_cast<std::size_t>(count));
    std::fill_n(buffer.data(), buffer.size(), 0);
    return buffer;
}

void set_limits(Requantization &to, const Node &node, const Quantization &result) {
    constexpr float infinity = std::numeric_limits<float>::infinity();
    float low = -infinity, high = infinity;
    const auto *own = node.operation.get_if<ops::Neuron>();
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

void require_small_factor(const Node &node, const FixedPoint &factor) {
    if (factor.shift > 30)
        fail(ErrorKind::parameter,
             {name_of_layer(node), ": in int8 precision the scale of its result is too small: its "
                                   "integers would be multiplied by 2^30 or more"});
}

} // namespace mpscnn::cpu
