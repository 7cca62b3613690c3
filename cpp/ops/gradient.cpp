#include "ops/gradient.h"

#include <algorithm>
#include <array>
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

void add_own(const Convolution &convolution, GradientBuilder &builder) {
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
void add_own(const FullyConnected &dense, GradientBuilder &builder) {
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
void add_own(const BatchNormalization &normalization, GradientBuilder &builder) {
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
void add_own(const BatchStatistics &, GradientBuilder &) {}

/// Of gamma and beta. `plain` is the normalization without them.
void give_gamma_and_beta(GradientBuilder &builder, const Operation &plain) {
    const Value gradient = builder.gradient();
    if (builder.wants("beta"))
        builder.give("beta", builder.add(SumLike{}, {gradient, builder.weight("beta")}));
    if (!builder.wants("gamma")) return;
    const Value normalized = builder.add(plain, {builder.input(0)});
    const Value product = builder.add(Multiplication{}, {gradient, normalized});
    builder.give("gamma", builder.add(SumLike{}, {product, builder.weight("gamma")}));
}

/// The gradient of the result, the input and gamma, if there is one.
std::vector<Value> normalization_inputs(const GradientBuilder &builder) {
    std::vector<Value> inputs{builder.gradient(), builder.input(0)};
    if (builder.has_weight("gamma")) inputs.push_back(builder.weight("gamma"));
    return inputs;
}

void add_own(const GroupNormalization &normalization, GradientBuilder &builder) {
    give_gamma_and_beta(builder, normalization);
    if (builder.wants(0))
        builder.give(0,
                     builder.add(GroupNormalizationGradient{normalization}, normalization_inputs(builder)));
}

void add_own(const LayerNormalization &normalization, GradientBuilder &builder) {
    give_gamma_and_beta(builder, normalization);
    if (builder.wants(0))
        builder.give(0,
                     builder.add(LayerNormalizationGradient{normalization}, normalization_inputs(builder)));
}

void add_own(const CrossChannelNormalization &normalization, GradientBuilder &builder) {
    builder.give(0, builder.add(CrossChannelNormalizationGradient{normalization},
                                {builder.gradient(), builder.input(0)}));
}

void add_own(const Resize &resize, GradientBuilder &builder) {
    builder.give(0, builder.add(ResizeGradient{resize}, {builder.gradient(), builder.input(0)}));
}

// ---- Elementwise ----

/// Each channel has its slope.
void add_prelu(const Neuron &neuron, GradientBuilder &builder) {
    const Value gradient = builder.gradient(), input = builder.input(0), slope = builder.weight("slope");
    if (builder.wants(0))
        builder.give(0, builder.add(NeuronGradient{neuron, false}, {gradient, input, slope}));
    if (!builder.wants("slope")) return;
    const Value below = builder.add(Neuron{.kind = NeuronKind::relun, .a = 1.0f, .b = 0.0f}, {input});
    builder.give("slope", builder.add(SumLike{}, {builder.add(Multiplication{}, {gradient, below}), slope}));
}

void add_own(const Neuron &neuron, GradientBuilder &builder) {
    if (neuron.kind == NeuronKind::prelu) return add_prelu(neuron, builder);
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

void add_own(const Addition &addition, GradientBuilder &builder) {
    const Value gradient = limited_gradient(addition, builder);
    if (builder.wants(0)) give_summed(builder, 0, scaled(builder, gradient, addition.primary_scale));
    if (builder.wants(1)) give_summed(builder, 1, scaled(builder, gradient, addition.secondary_scale));
}

void add_own(const Subtraction &difference, GradientBuilder &builder) {
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

void add_own(const Multiplication &product, GradientBuilder &builder) {
    const Value gradient = limited_gradient(product, builder);
    for (const std::size_t index : {0, 1}) {
        if (!builder.wants(index)) continue;
        auto factor = reading<Multiplication>(product, 1 - index);
        factor.primary_scale = product.primary_scale * product.secondary_scale;
        give_summed(builder, index, builder.add(factor, {gradient, builder.input(1 - index)}));
    }
}

void add_own(const Division &quotient, GradientBuilder &builder) {
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
void add_own(const Dropout &dropout, GradientBuilder &builder) {
    builder.give(0, dropout.training ? builder.add(dropout, {builder.gradient()}) : builder.gradient());
}

void add_own(const StepDropout &dropout, GradientBuilder &builder) {
    builder.give(0, builder.add(dropout, {builder.gradient(), builder.input(1)}));
}

// ---- Pixels and windows ----

void add_own(const Softmax &, GradientBuilder &builder) {
    builder.give(0, builder.add(SoftmaxGradient{}, {builder.gradient(), builder.result()}));
}

void add_own(const LogSoftmax &, GradientBuilder &builder) {
    builder.give(0, builder.add(SoftmaxGradient{.logarithm = true}, {builder.gradient(), builder.result()}));
}

void add_own(const Pooling &pooling, GradientBuilder &builder) {
    builder.give(
        0, builder.add(PoolingGradient{pooling}, {builder.gradient(), builder.input(0), builder.result()}));
}

// ---- Moves ----

void add_own(const Reshape &, GradientBuilder &builder) {
    const Shape &input = builder.shape(builder.input(0));
    if (std::count(input.begin() + 1, input.end(), Shape::any) > 1) builder.refuse("free extents");
    builder.give(0, reshaped(builder, builder.gradient(), image_extents(input)));
}

void add_own(const Concatenation &concatenation, GradientBuilder &builder) {
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

void add_own(const Transpose &transpose, GradientBuilder &builder) {
    std::vector<std::int64_t> inverse(transpose.axes.size());
    for (std::size_t i = 0; i < inverse.size(); ++i)
        inverse[static_cast<std::size_t>(transpose.axes[i] - 1)] = static_cast<std::int64_t>(i) + 1;
    builder.give(0, builder.add(Transpose{.axes = std::move(inverse)}, {builder.gradient()}));
}

void add_own(const ChannelShuffle &shuffle, GradientBuilder &builder) {
    const std::int64_t channels = builder.shape(builder.input(0)).back();
    builder.give(0, builder.add(ChannelShuffle{.groups = channels / shuffle.groups}, {builder.gradient()}));
}

/// Blocks of pixels become channels again.
void add_own(const DepthToSpace &blocks, GradientBuilder &builder) {
    const Shape &input = builder.shape(builder.input(0));
    if (!input.with_batch(1).fixed()) builder.refuse("a free extent");
    const std::int64_t scale = blocks.scale, channels = input[3] / (scale * scale);
    const std::vector<std::int64_t> extents = image_extents(input);
    const Value cut = reshaped(builder, builder.gradient(), {input[1], scale, input[2], scale, channels});
    const std::vector<std::int64_t> axes = blocks.order == SubpixelOrder::position_major
                                               ? std::vector<std::int64_t>{1, 3, 2, 4, 5}
                                               : std::vector<std::int64_t>{1, 3, 5, 2, 4};
    builder.give(0, reshaped(builder, builder.add(Transpose{.axes = axes}, {cut}), extents));
}

/// What was cropped gets zeros, and borders are cropped.
void add_own(const Padding &padding, GradientBuilder &builder) {
    if (padding.mode != PaddingMode::constant_) builder.refuse("a border that is not constant");
    Padding inverse;
    inverse.top = -padding.top, inverse.bottom = -padding.bottom;
    inverse.left = -padding.left, inverse.right = -padding.right;
    inverse.front = -padding.front, inverse.back = -padding.back;
    builder.give(0, builder.add(inverse, {builder.gradient()}));
}

/// Zeros around the part.
void add_own(const Slice &slice, GradientBuilder &builder) {
    const Shape &input = builder.shape(builder.input(0)), &part = builder.shape(builder.gradient());
    if (slice.stride_y != 1 || slice.stride_x != 1 || slice.stride_channels != 1)
        builder.refuse("steps other than 1");
    if (input.rank() != 4 || !input.with_batch(1).fixed())
        builder.refuse("less than 4 axes, or free extents");
    const Slice::Origin origin = slice.origin(input);
    Padding zeros;
    zeros.top = origin.row, zeros.bottom = input[1] - part[1] - origin.row;
    zeros.left = origin.column, zeros.right = input[2] - part[2] - origin.column;
    zeros.front = origin.channel, zeros.back = input[3] - part[3] - origin.channel;
    builder.give(0, builder.add(zeros, {builder.gradient()}));
}

// ---- Sums ----

/// Each element gets the gradient of its sum.
void add_own(const Reduction &reduction, GradientBuilder &builder) {
    if (reduction.kind != ReductionKind::sum && reduction.kind != ReductionKind::mean)
        builder.refuse("a kind other than sum and mean");
    const Shape &input = builder.shape(builder.input(0));
    const int from_end = reduction.axis == ReductionAxis::channels ? 1
                         : reduction.axis == ReductionAxis::width  ? 2
                                                                   : 3;
    const std::int64_t extent = input[input.rank() - from_end];
    if (extent == Shape::any) builder.refuse("a free extent");
    Tile copies;
    (from_end == 1 ? copies.channels : from_end == 2 ? copies.columns : copies.rows) = extent;
    const bool is_mean = reduction.kind == ReductionKind::mean;
    const float factor = is_mean ? 1.0f / static_cast<float>(extent) : reduction.weight;
    builder.give(0, builder.add(copies, {scaled(builder, builder.gradient(), factor)}));
}

/// Copies of what has one element along each axis on which it is repeated.
void add_own(const Tile &tile, GradientBuilder &builder) {
    const Shape &input = builder.shape(builder.input(0));
    const std::array copies{tile.channels, tile.columns, tile.rows};
    for (int from_end = 1; from_end <= 3 && from_end < input.rank(); ++from_end)
        if (copies[static_cast<std::size_t>(from_end) - 1] != 1 && input[input.rank() - from_end] != 1)
            builder.refuse("copies of several elements");
    builder.give(0, builder.add(SumLike{}, {builder.gradient(), builder.input(0)}));
}

void add_own(const MatrixProduct &product, GradientBuilder &builder) {
    const Value gradient = builder.gradient(), first = builder.input(0), second = builder.input(1);
    const bool turns_first = product.transpose_first, turns_second = product.transpose_second;
    const auto multiply = [&](Value a, bool turns_a, Value b, bool turns_b) {
        return builder.add(MatrixProduct{turns_a, turns_b, product.scale}, {a, b});
    };
    if (builder.wants(0))
        builder.give(0, turns_first ? multiply(second, turns_second, gradient, true)
                                    : multiply(gradient, false, second, !turns_second));
    if (builder.wants(1))
        builder.give(1, turns_second ? multiply(gradient, true, first, turns_first)
                                     : multiply(first, !turns_first, gradient, false));
}

template <class Op>
concept HasGradients = requires(const Op &op, GradientBuilder &builder) { add_own(op, builder); };

} // namespace

void add_gradients(const Operation &operation, GradientBuilder &builder) {
    std::visit(
        [&]<class Op>(const Op &op) {
            if constexpr (HasGradients<Op>)
                add_own(op, builder);
            else
                builder.refuse("this operation");
        },
        operation);
}

} // namespace mpscnn::ops
