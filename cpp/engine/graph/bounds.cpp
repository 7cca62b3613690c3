#include "engine/graph/bounds.h"

#include <algorithm>
#include <cmath>
#include <span>

namespace mpscnn::engine {

namespace {

using ops::NeuronKind;
using ops::PoolingKind;
using ops::ReductionKind;

template <class... Ops> bool is_one_of(const ops::Operation &operation) {
    return (operation.is<Ops>() || ...);
}

/// Return the bounds of numbers of which the least and the largest are among the given ones.
Bounds around(std::initializer_list<double> ends) {
    for (const double end : ends)
        if (std::isnan(end)) return {};
    return {std::min(ends), std::max(ends)};
}

Bounds joined(const Bounds &a, const Bounds &b) {
    return {std::min(a.lower, b.lower), std::max(a.upper, b.upper)};
}

/// Return the bounds of a function that only rises, or only falls, between the bounds of its argument.
template <class Function> Bounds through(const Bounds &x, Function &&function) {
    return around({function(x.lower), function(x.upper)});
}

Bounds scaled(const Bounds &x, double factor) {
    return through(x, [&](double end) { return factor * end; });
}

Bounds sum(const Bounds &a, const Bounds &b) { return {a.lower + b.lower, a.upper + b.upper}; }

Bounds product(const Bounds &a, const Bounds &b) {
    return around({a.lower * b.lower, a.lower * b.upper, a.upper * b.lower, a.upper * b.upper});
}

/// Return the bounds of the absolute value.
Bounds magnitude(const Bounds &x) {
    const double largest = std::max(std::fabs(x.lower), std::fabs(x.upper));
    return {std::max({x.lower, -x.upper, 0.0}), largest};
}

Bounds bounds_of(const ops::Neuron &neuron, const Bounds &x) {
    const auto a = static_cast<double>(neuron.a), b = static_cast<double>(neuron.b),
               c = static_cast<double>(neuron.c);
    const auto line = [&](double end) { return a * end + b; };
    const auto rectified = [&](double end) { return end >= 0.0 ? end : a == 0.0 ? 0.0 : a * end; };
    switch (neuron.kind) {
    case NeuronKind::none:
        return x;
    case NeuronKind::linear:
        return through(x, line);
    case NeuronKind::relu:
        return a >= 0.0 ? through(x, rectified) : Bounds{};
    case NeuronKind::relun:
        return a >= 0.0 ? through(x, [&](double end) { return std::min(rectified(end), b); }) : Bounds{};
    case NeuronKind::sigmoid:
        return through(x, [](double end) { return 1.0 / (1.0 + std::exp(-end)); });
    case NeuronKind::hard_sigmoid:
        return through(x, [&](double end) { return std::clamp(line(end), 0.0, 1.0); });
    case NeuronKind::tanh:
        return through(x, [&](double end) { return a * std::tanh(b * end); });
    case NeuronKind::softsign:
        return through(x, [](double end) {
            return std::isinf(end) ? std::copysign(1.0, end) : end / (1.0 + std::fabs(end));
        });
    case NeuronKind::absolute:
        return magnitude(x);
    case NeuronKind::softplus:
        return through(x, [&](double end) { return a * std::log1p(std::exp(b * end)); });
    case NeuronKind::exponential:
        return through(x,
                       [&](double end) { return c == -1.0 ? std::exp(line(end)) : std::pow(c, line(end)); });
    case NeuronKind::power: {
        const Bounds base = through(x, line);
        return base.lower >= 0.0 ? through(base, [&](double end) { return std::pow(end, c); }) : Bounds{};
    }
    case NeuronKind::clamp: {
        const auto lower = static_cast<double>(neuron.lower_limit()),
                   upper = static_cast<double>(neuron.upper_limit());
        return through(x, [&](double end) { return std::clamp(end, lower, upper); });
    }
    case NeuronKind::sign:
        return {-1.0, 1.0};
    case NeuronKind::floor:
        return through(x, [](double end) { return std::floor(end); });
    case NeuronKind::ceil:
        return through(x, [](double end) { return std::ceil(end); });
    case NeuronKind::round:
        return through(x, [](double end) { return std::nearbyint(end); });
    case NeuronKind::erf:
        return through(x, [](double end) { return std::erf(end); });
    default:
        return {};
    }
}

/// Return the bounds of x op y, of which both are scaled already.
Bounds combined(ops::ArithmeticKind kind, const Bounds &x, const Bounds &y) {
    switch (kind) {
    case ops::ArithmeticKind::add:
        return sum(x, y);
    case ops::ArithmeticKind::subtract:
        return sum(x, scaled(y, -1.0));
    case ops::ArithmeticKind::multiply:
        return product(x, y);
    case ops::ArithmeticKind::divide:
        return y.lower > 0.0 ? product(x, {1.0 / y.upper, 1.0 / y.lower}) : Bounds{};
    case ops::ArithmeticKind::maximum:
        return {std::max(x.lower, y.lower), std::max(x.upper, y.upper)};
    case ops::ArithmeticKind::minimum:
        return {std::min(x.lower, y.lower), std::min(x.upper, y.upper)};
    case ops::ArithmeticKind::power:
        return {};
    case ops::ArithmeticKind::mask:
    case ops::ArithmeticKind::mask_out:
        return joined(y, {0.0, 0.0});
    default: // comparisons
        return {0.0, 1.0};
    }
}

/// True if a value is the maximum of the channels of another one, or at least that.
bool is_above(const Graph &graph, ValueId value, ValueId other) {
    if (graph.is_input(value)) return false;
    const Node &maker = graph.producer(value);
    const auto *reduction = maker.operation.get_if<ops::Reduction>();
    return reduction && !maker.activation && maker.inputs[0] == other &&
           reduction->axis == ops::ReductionAxis::channels &&
           (reduction->kind == ReductionKind::max || reduction->kind == ReductionKind::log_sum_exp);
}

template <class Operation> Bounds arithmetic(const Operation &operation, std::span<const Bounds> inputs) {
    Bounds result = combined(Operation::kind, scaled(inputs[0], static_cast<double>(operation.primary_scale)),
                             scaled(inputs[1], static_cast<double>(operation.secondary_scale)));
    const auto bias = static_cast<double>(operation.bias);
    result = sum(result, {bias, bias});
    const auto limited = [&](double end) {
        if (operation.has_minimum()) end = std::max(end, static_cast<double>(operation.minimum));
        return operation.has_maximum() ? std::min(end, static_cast<double>(operation.maximum)) : end;
    };
    return through(result, limited);
}

Bounds bounds_of(const ops::Operation &operation, std::span<const Bounds> inputs) {
    if (const auto *neuron = operation.get_if<ops::Neuron>()) return bounds_of(*neuron, inputs[0]);
    if (operation.is<ops::Softmax>()) return {0.0, 1.0};
    if (operation.is<ops::LogSoftmax>()) return {Bounds{}.lower, 0.0};
    if (keeps_bounds(operation)) {
        Bounds result = inputs[0];
        for (const Bounds &input : inputs.subspan(1)) result = joined(result, input);
        // Zeros may be around an image that is pooled.
        return operation.is<ops::Pooling>() ? joined(result, {0.0, 0.0}) : result;
    }
#define MPSCNN_ARITHMETIC(NAME, TYPE, SUMMARY)                                                               \
    if (const auto *found = operation.get_if<ops::TYPE>()) return arithmetic(*found, inputs);
    FOR_EACH_ARITHMETIC(MPSCNN_ARITHMETIC)
#undef MPSCNN_ARITHMETIC
    return {};
}

} // namespace

bool keeps_bounds(const ops::Operation &operation) {
    if (const auto *pooling = operation.get_if<ops::Pooling>())
        return pooling->kind == PoolingKind::max || pooling->kind == PoolingKind::average;
    if (const auto *reduction = operation.get_if<ops::Reduction>())
        return reduction->kind == ReductionKind::mean || reduction->kind == ReductionKind::max ||
               reduction->kind == ReductionKind::min;
    return is_one_of<ops::ChannelShuffle, ops::Concatenation, ops::DepthToSpace, ops::Dropout, ops::Gather,
                     ops::Reshape, ops::Slice, ops::Tile, ops::Transpose>(operation);
}

std::vector<Bounds> bounds_of(const Graph &graph) {
    std::vector<Bounds> known(graph.inputs().size());
    std::vector<Bounds> inputs;
    for (const Node &node : graph.nodes()) {
        inputs.clear();
        for (const ValueId input : node.inputs) inputs.push_back(known[static_cast<std::size_t>(input)]);
        Bounds result = bounds_of(node.operation, inputs);
        const auto *difference = node.operation.get_if<ops::Subtraction>();
        if (difference && difference->primary_scale == 1.0f && difference->secondary_scale == 1.0f &&
            is_above(graph, node.inputs[1], node.inputs[0]))
            result.upper = std::min(result.upper, static_cast<double>(difference->bias));
        if (node.activation) result = bounds_of(*node.activation, result);
        known.push_back(result);
    }
    return known;
}

} // namespace mpscnn::engine
