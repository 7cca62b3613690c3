#include "ops/gradient_rules.h"

namespace mpscnn::ops {

namespace {

Value row_slice(GradientBuilder &builder, Value value, std::int64_t first, std::int64_t count) {
    return builder.add(Slice{.top = first, .height = count}, {value});
}

Value channel_slice(GradientBuilder &builder, Value value, std::int64_t first, std::int64_t count) {
    return builder.add(Slice{.front = first, .channels = count}, {value});
}

/// A recurrent layer for which gradients are added.
struct RecurrentUse {
    GradientBuilder &builder;
    std::int64_t steps, units;
    bool reverse;

    /// Return the hidden state before each step.
    Value states_before() const {
        const Value result = builder.result();
        const Value first =
            builder.inputs() > 1 ? builder.input(1) : scaled(builder, row_slice(builder, result, 0, 1), 0.0f);
        if (steps == 1) return first;
        const Value others = row_slice(builder, result, reverse ? 1 : 0, steps - 1);
        return builder.add(Concatenation{.axis = 1},
                           reverse ? std::vector<Value>{others, first} : std::vector<Value>{first, others});
    }

    /// Return the gradient of a weight. `states` are the hidden states that it multiplied, and `gradients`
    /// the gradients of the products.
    Value weight_gradient(Value states, Value gradients) const {
        Convolution product;
        product.output_channels = builder.shape(gradients).back();
        const Value weight = builder.add(ConvolutionWeightGradient{product}, {states, gradients});
        return reshaped(builder, weight, {units});
    }

    void give_states(Value gradients, std::size_t count) const {
        for (std::size_t i = 0; i < count && i + 1 < builder.inputs(); ++i)
            if (builder.wants(i + 1)) {
                const Value last = row_slice(builder, gradients, steps, 1);
                builder.give(i + 1,
                             channel_slice(builder, last, static_cast<std::int64_t>(i) * units, units));
            }
    }
};

RecurrentUse use_of(GradientBuilder &builder, std::int64_t gates, bool reverse) {
    const Shape &sums = builder.shape(builder.input(0));
    if (sums[1] == Shape::any) builder.refuse("a free number of steps");
    return {builder, sums[1], sums.back() / gates, reverse};
}

void require_derivative(const GradientBuilder &builder, const GateFunction &function) {
    if (!function.has_simple_derivative()) builder.refuse(name_of(function.kind));
}

/// Return the inputs of the gradient operation.
std::vector<Value> gradient_inputs(const GradientBuilder &builder, bool has_bias) {
    std::vector<Value> inputs{builder.gradient(), builder.input(0), builder.result(),
                              builder.weight("weight")};
    if (has_bias) inputs.push_back(builder.weight("bias"));
    for (std::size_t i = 1; i < builder.inputs(); ++i) inputs.push_back(builder.input(i));
    return inputs;
}

} // namespace

void add_own(const Lstm &lstm, GradientBuilder &builder) {
    for (const GateFunction &function : {lstm.gate, lstm.candidate, lstm.output})
        require_derivative(builder, function);
    const RecurrentUse use = use_of(builder, Lstm::gates, lstm.reverse);
    const Value all = builder.add(LstmGradient{lstm}, gradient_inputs(builder, false));
    const Value sums = row_slice(builder, all, 0, use.steps);
    builder.give(0, sums);
    use.give_states(all, 2);
    if (builder.wants("weight")) builder.give("weight", use.weight_gradient(use.states_before(), sums));
}

void add_own(const Gru &gru, GradientBuilder &builder) {
    for (const GateFunction &function : {gru.gate, gru.candidate}) require_derivative(builder, function);
    const RecurrentUse use = use_of(builder, Gru::gates, gru.reverse);
    const std::int64_t units = use.units;
    const Value all = builder.add(GruGradient{gru}, gradient_inputs(builder, gru.reset_after));
    const Value steps = row_slice(builder, all, 0, use.steps);
    builder.give(0, channel_slice(builder, steps, 0, 3 * units));
    use.give_states(all, 1);
    const Value gates = channel_slice(builder, steps, 0, 2 * units),
                last = channel_slice(builder, steps, 3 * units, units);
    if (builder.wants("bias")) builder.give("bias", builder.add(SumLike{}, {last, builder.weight("bias")}));
    if (!builder.wants("weight")) return;
    const Value states = use.states_before();
    if (gru.reset_after) {
        const Value products = builder.add(Concatenation{.axis = -1}, {gates, last});
        return builder.give("weight", use.weight_gradient(states, products));
    }
    // Gates and candidate multiply different states, so their weights' gradients are computed separately.
    // Each of the two has zeros in place of the channels of the other one.
    const Value candidate = channel_slice(builder, steps, 2 * units, units);
    builder.give("weight", use.weight_gradient(states, builder.add(Padding{.back = units}, {gates})));
    builder.give("weight", use.weight_gradient(last, builder.add(Padding{.front = 2 * units}, {candidate})));
}

} // namespace mpscnn::ops
