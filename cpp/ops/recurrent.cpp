#include "ops/recurrent.h"

#include "core/text.h"

namespace mpscnn::ops {

namespace {

void require_function(const OperationInfo &info, const char *field, const GateFunction &function) {
    switch (function.kind) {
    case NeuronKind::prelu:
    case NeuronKind::power:
    case NeuronKind::exponential:
    case NeuronKind::logarithm:
        refuse_parameter(info, field, "a function without slopes and without a third parameter",
                         name_of(function.kind));
    default:
        break;
    }
    require_finite(info, "a parameter of a function", function.a);
    require_finite(info, "a parameter of a function", function.b);
    if (function.kind == NeuronKind::clamp && function.a > function.b)
        refuse_parameter(info, field, "a clamp whose upper limit is not below the lower one", function.b);
}

std::int64_t units_of(const Shape &sums, std::int64_t gates) { return sums.back() / gates; }

/// Throws unless the input with index `index` has the shape of the gates' sums, (n, steps, sequences, gates *
/// units).
void require_sums(const OperationInfo &info, const InputShapes &inputs, std::int64_t gates,
                  std::size_t index) {
    require_rank(info, inputs, 4, index);
    const Shape &sums = inputs[index];
    if (sums.back() < 1 || sums.back() % gates != 0)
        fail(ErrorKind::shape, {info.name, ": the channels of input ", index, " must be those of ", gates,
                                " gates, got ", sums.text()});
    require_minimum(info, "the number of units", units_of(sums, gates), 1);
}

Shape state_shape(const Shape &sums, std::int64_t gates) {
    return {sums[0], 1, sums[2], units_of(sums, gates)};
}

/// Return a shape with a row for each step and `more` further rows, with `channels` channels.
Shape rows_of(const Shape &sums, std::int64_t more, std::int64_t channels) {
    return {sums[0], sums[1] == Shape::any ? Shape::any : sums[1] + more, sums[2], channels};
}

/// Throws unless the number of states among the inputs is 0 or `states`.
void require_states(const OperationInfo &info, const InputShapes &inputs, std::size_t first,
                    std::size_t states, const Shape &expected) {
    if (inputs.size() == first) return;
    if (inputs.size() != first + states)
        fail(ErrorKind::parameter,
             {info.name, ": takes ", first, " or ", first + states, " inputs, got ", inputs.size()});
    for (std::size_t i = first; i < inputs.size(); ++i) require_shape(info, inputs, i, expected, "a state");
}

Cost recurrent_cost(const Shape &sums, std::int64_t gates) {
    const std::int64_t macs = Shape{sums.elements(), units_of(sums, gates)}.elements();
    return {macs, Shape{macs, 2}.elements()};
}

/// Check the inputs of a gradient: the gradient of the result, the sums, the result, the weight, and further
/// inputs.
template <class Op>
void require_gradient_inputs(const OperationInfo &info, const Op &op, const InputShapes &inputs) {
    op.check(inputs.subspan(1, 1));
    const Shape result = op.output_shape(inputs.subspan(1, 1));
    require_result(info, inputs[0], result);
    require_shape(info, inputs, 2, result, "the result");
    require_shape(info, inputs, 3, op.weights(inputs.subspan(1, 1))[0].shape, "the weight");
}

void require_derivative(const OperationInfo &info, const char *field, const GateFunction &function) {
    if (!function.has_simple_derivative())
        refuse_parameter(info, field, "a function whose derivative follows from its result",
                         name_of(function.kind));
}

Cost gradient_cost(const Shape &sums, std::int64_t gates) {
    const Cost forward = recurrent_cost(sums, gates);
    return {2 * forward.macs, 2 * forward.flops};
}

} // namespace

bool GateFunction::has_simple_derivative() const {
    switch (kind) {
    case NeuronKind::none:
    case NeuronKind::linear:
    case NeuronKind::sigmoid:
    case NeuronKind::hard_sigmoid:
        return true;
    case NeuronKind::relu:
        return a == 0.0f;
    case NeuronKind::tanh:
        return a != 0.0f;
    default:
        return false;
    }
}

void Lstm::check(const InputShapes &inputs) const {
    require_function(info, "gate", gate);
    require_function(info, "candidate", candidate);
    require_function(info, "output", output);
    require_sums(info, inputs, gates, 0);
    require_states(info, inputs, 1, 2, state_shape(inputs[0], gates));
}

Shape Lstm::output_shape(const InputShapes &inputs) const {
    return rows_of(inputs[0], 1, units_of(inputs[0], gates));
}

WeightSpecs Lstm::weights(const InputShapes &inputs) const {
    return {{"weight", {inputs[0].back(), units_of(inputs[0], gates)}}};
}

Cost Lstm::cost(const InputShapes &inputs, const Shape &) const { return recurrent_cost(inputs[0], gates); }

void Gru::check(const InputShapes &inputs) const {
    require_function(info, "gate", gate);
    require_function(info, "candidate", candidate);
    require_sums(info, inputs, gates, 0);
    require_states(info, inputs, 1, 1, state_shape(inputs[0], gates));
}

Shape Gru::output_shape(const InputShapes &inputs) const {
    return rows_of(inputs[0], 0, units_of(inputs[0], gates));
}

WeightSpecs Gru::weights(const InputShapes &inputs) const {
    const std::int64_t units = units_of(inputs[0], gates);
    WeightSpecs specs{{"weight", {inputs[0].back(), units}}};
    if (reset_after) specs.push_back({"bias", {units}});
    return specs;
}

Cost Gru::cost(const InputShapes &inputs, const Shape &) const { return recurrent_cost(inputs[0], gates); }

void LstmGradient::check(const InputShapes &inputs) const {
    require_derivative(info, "gate", lstm.gate);
    require_derivative(info, "candidate", lstm.candidate);
    require_derivative(info, "output", lstm.output);
    require_gradient_inputs(info, lstm, inputs);
    require_states(info, inputs, 4, 2, state_shape(inputs[1], Lstm::gates));
}

Shape LstmGradient::output_shape(const InputShapes &inputs) const {
    return rows_of(inputs[1], 1, inputs[1].back());
}

Cost LstmGradient::cost(const InputShapes &inputs, const Shape &) const {
    return gradient_cost(inputs[1], Lstm::gates);
}

void GruGradient::check(const InputShapes &inputs) const {
    require_derivative(info, "gate", gru.gate);
    require_derivative(info, "candidate", gru.candidate);
    require_gradient_inputs(info, gru, inputs);
    const std::size_t first = gru.reset_after ? 5 : 4;
    if (gru.reset_after) {
        if (inputs.size() < first) fail(ErrorKind::parameter, {info.name, ": input 4, the bias, is missing"});
        require_shape(info, inputs, 4, {1, units_of(inputs[1], Gru::gates)}, "the bias");
    }
    require_states(info, inputs, first, 1, state_shape(inputs[1], Gru::gates));
}

Shape GruGradient::output_shape(const InputShapes &inputs) const {
    return rows_of(inputs[1], 1, 4 * units_of(inputs[1], Gru::gates));
}

Cost GruGradient::cost(const InputShapes &inputs, const Shape &) const {
    return gradient_cost(inputs[1], Gru::gates);
}

} // namespace mpscnn::ops
