#include "ops/gradient.h"

#include <algorithm>
#include <cstdint>
#include <utility>

namespace mpscnn::ops {

namespace {

using Value = GradientValue;

/// A tensor times a number.
Value scaled(GradientBuilder &builder, Value value, float factor) {
    if (factor == 1.0f) return value;
    return builder.add(Neuron{.kind = NeuronKind::linear, .a = factor}, {value});
}

/// Extents behind the batch.
std::vector<std::int64_t> image_extents(const Shape &shape) { return {shape.begin() + 1, shape.end()}; }

Value reshaped(GradientBuilder &builder, Value value, std::vector<std::int64_t> extents) {
    return builder.add(Reshape{.shape = std::move(extents)}, {value});
}

// ---- Layers with weights ----

void add(const Convolution &convolution, GradientBuilder &builder) {
    const Value gradient = builder.gradient();
    if (builder.wants(0))
        builder.give(0, builder.add(ConvolutionDataGradient{convolution},
                                    {gradient, builder.weight("weight"), builder.input(0)}));
    if (builder.wants("weight"))
        builder.give("weight",
                     builder.add(ConvolutionWeightGradient{convolution}, {builder.input(0), gradient}));
    if (builder.wants("bias"))
        builder.give("bias", builder.add(SumLike{}, {gradient, builder.weight("bias")}));
}

/// As a convolution of one pixel that has all inputs as its channels.
void add(const FullyConnected &dense, GradientBuilder &builder) {
    const Shape input = builder.shape(builder.input(0));
    const std::int64_t features = input.with_batch(1).elements();
    Convolution pixel;
    pixel.output_channels = dense.outputs;
    const Value gradient = reshaped(builder, builder.gradient(), {1, 1, dense.outputs});
    const Value source = reshaped(builder, builder.input(0), {1, 1, features});
    if (builder.wants(0)) {
        const Value weight = reshaped(builder, builder.weight("weight"), {1, 1, features});
        const Value data = builder.add(ConvolutionDataGradient{pixel}, {gradient, weight, source});
        builder.give(0, reshaped(builder, data, image_extents(input)));
    }
    if (builder.wants("weight")) {
        const Value weight = builder.add(ConvolutionWeightGradient{pixel}, {source, gradient});
        builder.give("weight",
                     reshaped(builder, weight, image_extents(builder.shape(builder.weight("weight")))));
    }
    if (builder.wants("bias"))
        builder.give("bias", builder.add(SumLike{}, {builder.gradient(), builder.weight("bias")}));
}

/// By the statistics of the batch, the second input; these depend on the first, which is taken into account.
void add(const BatchNormalization &normalization, GradientBuilder &builder) {
    if (builder.inputs() != 2) builder.refuse("statistics that are weights");
    const Value gradient = builder.gradient(), source = builder.input(0), statistics = builder.input(1);
    const Value sums =
        builder.add(BatchNormalizationSums{normalization.epsilon}, {gradient, source, statistics});
    if (builder.wants(0)) {
        std::vector<Value> inputs{gradient, source, statistics, sums};
        if (builder.has_weight("gamma")) inputs.push_back(builder.weight("gamma"));
        builder.give(0, builder.add(BatchNormalizationGradient{normalization.epsilon}, std::move(inputs)));
    }
    const std::int64_t channels = builder.shape(source).back();
    const auto row = [&](std::int64_t index) {
        const Value part = builder.add(Slice{.top = index, .height = 1}, {sums});
        return reshaped(builder, part, {channels});
    };
    if (builder.wants("beta")) builder.give("beta", row(0));
    if (builder.wants("gamma")) builder.give("gamma", row(1));
}

/// Their gradient is part of the normalization's.
void add(const BatchStatistics &, GradientBuilder &) {}

// ---- Elementwise ----

void add(const Neuron &neuron, GradientBuilder &builder) {
    if (neuron.kind == NeuronKind::prelu) builder.refuse("prelu");
    if (neuron.kind == NeuronKind::none) return builder.give(0, builder.gradient());
    const bool from_result = NeuronGradient::follows_from_result(neuron);
    const Value known = from_result ? builder.result() : builder.input(0);
    builder.give(0, builder.add(NeuronGradient{neuron, from_result}, {builder.gradient(), known}));
}

/// What arithmetic's limits let through.
Value limited_gradient(const Arithmetic &arithmetic, GradientBuilder &builder) {
    if (arithmetic.has_minimum() || arithmetic.has_maximum()) builder.refuse("limits of the result");
    for (const std::int64_t stride : {arithmetic.primary_stride_y, arithmetic.primary_stride_x,
                                      arithmetic.secondary_stride_y, arithmetic.secondary_stride_x})
        if (stride > 1) builder.refuse("strides of more than 1");
    return builder.gradient();
}

/// Gives an input its part of a gradient of the result's shape.
void give_summed(GradientBuilder &builder, std::size_t input, Value gradient) {
    const Value source = builder.input(input);
    const bool whole = builder.shape(source) == builder.shape(gradient);
    builder.give(input, whole ? gradient : builder.add(SumLike{}, {gradient, source}));
}

void add(const Addition &addition, GradientBuilder &builder) {
    const Value gradient = limited_gradient(addition, builder);
    if (builder.wants(0)) give_summed(builder, 0, scaled(builder, gradient, addition.primary_scale));
    if (builder.wants(1)) give_summed(builder, 1, scaled(builder, gradient, addition.secondary_scale));
}

void add(const Subtraction &difference, GradientBuilder &builder) {
    const Value gradient = limited_gradient(difference, builder);
    if (builder.wants(0)) give_summed(builder, 0, scaled(builder, gradient, difference.primary_scale));
    if (builder.wants(1)) give_summed(builder, 1, scaled(builder, gradient, -difference.secondary_scale));
}

/// The second operand with the strides with which `arithmetic` reads input `index`.
template <class Op> Op reading(const Arithmetic &arithmetic, std::size_t index) {
    Op operation;
    operation.secondary_stride_y = index == 0 ? arithmetic.primary_stride_y : arithmetic.secondary_stride_y;
    operation.secondary_stride_x = index == 0 ? arithmetic.primary_stride_x : arithmetic.secondary_stride_x;
    operation.secondary_stride_channels =
        index == 0 ? arithmetic.primary_stride_channels : arithmetic.secondary_stride_channels;
    return operation;
}

void add(const Multiplication &product, GradientBuilder &builder) {
    const Value gradient = limited_gradient(product, builder);
    for (const std::size_t index : {0, 1}) {
        if (!builder.wants(index)) continue;
        auto factor = reading<Multiplication>(product, 1 - index);
        factor.primary_scale = product.primary_scale * product.secondary_scale;
        give_summed(builder, index, builder.add(factor, {gradient, builder.input(1 - index)}));
    }
}

void add(const Division &quotient, GradientBuilder &builder) {
    const Value gradient = limited_gradient(quotient, builder);
    auto by_divisor = reading<Division>(quotient, 1);
    by_divisor.primary_scale = quotient.primary_scale / quotient.secondary_scale;
    if (builder.wants(0)) give_summed(builder, 0, builder.add(by_divisor, {gradient, builder.input(1)}));
    if (builder.wants(1)) {
        const auto numerator = reading<Multiplication>(quotient, 0);
        const Value product = builder.add(numerator, {gradient, builder.input(0)});
        by_divisor.primary_scale = -by_divisor.primary_scale;
        const Value once = builder.add(by_divisor, {product, builder.input(1)});
        give_summed(builder, 1, builder.add(reading<Division>(quotient, 1), {once, builder.input(1)}));
    }
}

/// The mask follows from the parameters: the same elements of the gradient go on.
void add(const Dropout &dropout, GradientBuilder &builder) {
    builder.give(0, dropout.training ? builder.add(dropout, {builder.gradient()}) : builder.gradient());
}

void add(const StepDropout &dropout, GradientBuilder &builder) {
    builder.give(0, builder.add(dropout, {builder.gradient(), builder.input(1)}));
}

// ---- Pixels and windows ----

void add(const Softmax &, GradientBuilder &builder) {
    builder.give(0, builder.add(SoftmaxGradient{}, {builder.gradient(), builder.result()}));
}

void add(const LogSoftmax &, GradientBuilder &builder) {
    builder.give(0, builder.add(SoftmaxGradient{.logarithm = true}, {builder.gradient(), builder.result()}));
}

void add(const Pooling &pooling, GradientBuilder &builder) {
    builder.give(0, builder.add(PoolingGradient{pooling},
                                {builder.gradient(), builder.input(0), builder.result()}));
}

// ---- Moves ----

void add(const Reshape &, GradientBuilder &builder) {
    const Shape &input = builder.shape(builder.input(0));
    if (std::count(input.begin() + 1, input.end(), Shape::any) > 1) builder.refuse("free extents");
    builder.give(0, reshaped(builder, builder.gradient(), image_extents(input)));
}

void add(const Concatenation &concatenation, GradientBuilder &builder) {
    std::vector<Shape> shapes;
    for (std::size_t i = 0; i < builder.inputs(); ++i) shapes.push_back(builder.shape(builder.input(i)));
    const int axis = concatenation.positive_axis(shapes), from_end = shapes[0].rank() - axis;
    std::int64_t position = 0;
    for (std::size_t i = 0; i < shapes.size(); ++i) {
        const std::int64_t extent = shapes[i][axis];
        if (extent == Shape::any || from_end > 3)
            builder.refuse("a free extent, or an axis before the last three");
        Slice part;
        (from_end == 1 ? part.front : from_end == 2 ? part.left : part.top) = position;
        (from_end == 1 ? part.channels : from_end == 2 ? part.width : part.height) = extent;
        if (builder.wants(i)) builder.give(i, builder.add(part, {builder.gradient()}));
        position += extent;
    }
}

void add(const Transpose &transpose, GradientBuilder &builder) {
    std::vector<std::int64_t> inverse(transpose.axes.size());
    for (std::size_t i = 0; i < inverse.size(); ++i)
        inverse[static_cast<std::size_t>(transpose.axes[i] - 1)] = static_cast<std::int64_t>(i) + 1;
    builder.give(0, builder.add(Transpose{.axes = std::move(inverse)}, {builder.gradient()}));
}

void add(const ChannelShuffle &shuffle, GradientBuilder &builder) {
    const std::int64_t channels = builder.shape(builder.input(0)).back();
    builder.give(0, builder.add(ChannelShuffle{.groups = channels / shuffle.groups}, {builder.gradient()}));
}

template <class Op>
concept HasGradients = requires(const Op &op, GradientBuilder &builder) { add(op, builder); };

} // namespace

void add_gradients(const Operation &operation, GradientBuilder &builder) {
    std::visit(
        [&]<class Op>(const Op &op) {
            if constexpr (HasGradients<Op>)
                add(op, builder);
            else
                builder.refuse("this operation");
        },
        operation);
}

} // namespace mpscnn::ops
