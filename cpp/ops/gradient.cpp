#include "ops/gradient.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>

#include "ops/gradient_rules.h"

namespace mpscnn::ops {

namespace {

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

/// Add a dense layer's gradients as the gradients of a convolution of one pixel, whose channels are all
/// inputs.
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

/// Add the gradients of a batch normalization whose second input has the statistics of the batch. They
/// include the derivative of the statistics, which depend on the first input.
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

/// Add nothing: the gradient of batch normalization includes the derivative of these statistics.
void add_own(const BatchStatistics &, GradientBuilder &) {}

/// Add the gradients of gamma and beta. `plain` is the same normalization without gamma and beta.
void give_gamma_and_beta(GradientBuilder &builder, const Operation &plain) {
    const Value gradient = builder.gradient();
    if (builder.wants("beta"))
        builder.give("beta", builder.add(SumLike{}, {gradient, builder.weight("beta")}));
    if (!builder.wants("gamma")) return;
    const Value normalized = builder.add(plain, {builder.input(0)});
    const Value product = builder.add(Multiplication{}, {gradient, normalized});
    builder.give("gamma", builder.add(SumLike{}, {product, builder.weight("gamma")}));
}

/// Return the inputs of a normalization's gradient: the gradient of the result, the input and gamma, if there
/// is one.
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
    if (resize.kind == ResizeKind::lanczos) builder.refuse("kind lanczos");
    builder.give(0, builder.add(ResizeGradient{resize}, {builder.gradient(), builder.input(0)}));
}

// ---- Elementwise ----

/// Add the gradients of a prelu, which has a slope for each channel, with respect to its input and slopes.
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

/// Apply the same dropout to the gradient. Its mask depends only on the parameters, so it keeps the same
/// elements.
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

/// Rearrange the blocks of pixels of the gradient to channels.
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
    operation.visit([&]<class Op>(const Op &op) {
        if constexpr (HasGradients<Op>)
            add_own(op, builder);
        else
            builder.refuse("this operation");
    });
}

} // namespace mpscnn::ops
