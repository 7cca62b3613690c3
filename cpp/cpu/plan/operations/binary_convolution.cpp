#include <algorithm>

#include "cpu/plan/algorithm.h"
#include "cpu/plan/operation.h"

namespace mpscnn::cpu {

namespace {

/// The bias and factors of a binary convolution's outputs and inputs, with their defaults.
struct Scaling {
    std::vector<float> bias, scale, input_bias, input_scale;

    Scaling(const engine::Node &node, const Shape &weight)
        : bias(node.weight_or("bias", static_cast<std::size_t>(weight[0]), 0.0f)),
          scale(node.weight_or("scale", static_cast<std::size_t>(weight[0]), 1.0f)),
          input_bias(node.weight_or("input_bias", static_cast<std::size_t>(weight.back()), 0.0f)),
          input_scale(node.weight_or("input_scale", static_cast<std::size_t>(weight.back()), 1.0f)) {}
};

/// Return the shape of a dense layer's weights as the weights of a convolution of one pixel. Other shapes are
/// returned unchanged.
Shape image_weights(const Shape &shape) {
    return shape.rank() == 4 ? shape : Shape{shape[0], 1, 1, shape[1]};
}

BinaryWeights pack_bits(const std::vector<float> &weights, const Shape &shape, std::int64_t lanes) {
    BinaryWeights packed;
    packed.outputs = shape[0];
    packed.kernel_height = shape[1];
    packed.kernel_width = shape[2];
    packed.inputs = shape[3];
    const std::int64_t taps = shape[1] * shape[2], words = packed.words();
    const std::int64_t vectors = (shape[0] + lanes - 1) / lanes;
    packed.bits = AlignedBuffer<std::uint32_t>(static_cast<std::size_t>(vectors * taps * words * lanes));
    std::fill_n(packed.bits.data(), packed.bits.size(), 0u);
    auto weight = weights.begin();
    for (std::int64_t output = 0; output < shape[0]; ++output)
        for (std::int64_t tap = 0; tap < taps; ++tap)
            for (std::int64_t input = 0; input < shape[3]; ++input, ++weight) {
                const std::int64_t word = (output / lanes * taps + tap) * words + input / 32;
                if (*weight >= 0.0f) packed.bits.data()[word * lanes + output % lanes] |= 1u << (input % 32);
            }
    return packed;
}

/// Turn the signs of weights into a plain convolution, for networks whose inputs are real numbers. All linear
/// factors are folded into its weights and bias. So is the input bias: it adds the same number to the sum of
/// every window, because it is also added to the zeros outside the image.
void lower_real_inputs(const OperationLowering &lowering, const Shape &shape, const Scaling &scaling,
                       bool with_bias) {
    std::vector<float> weights = lowering.node.weights.at("weight").values();
    std::vector<float> bias(static_cast<std::size_t>(shape[0]));
    std::size_t i = 0;
    for (std::size_t output = 0; output < bias.size(); ++output) {
        double constant = 0;
        for (std::int64_t tap = 0; tap < shape[1] * shape[2]; ++tap)
            for (std::size_t input = 0; input < scaling.input_scale.size(); ++input, ++i) {
                const double sign = weights[i] >= 0.0f ? 1.0 : -1.0;
                const double factor = sign * scaling.input_scale[input] * scaling.scale[output];
                weights[i] = static_cast<float>(factor);
                constant += factor * scaling.input_bias[input];
            }
        bias[output] = static_cast<float>(constant + (with_bias ? scaling.bias[output] : 0.0f));
    }
    lowering.fused.packed = lowering.kernels.pack_convolution(
        lowering.memory.packed, weights.data(), bias.data(), plain_convolution(lowering.kernels, shape, 1));
}

void lower_binary(const OperationLowering &lowering, ops::BinaryKind kind, bool beta_scaling) {
    FusedOperation &fused = lowering.fused;
    const Shape shape = image_weights(lowering.node.weights.at("weight").shape());
    const Scaling scaling(lowering.node, shape);
    if (beta_scaling) fused.shift = padded_to_vectors(scaling.bias);
    if (kind == ops::BinaryKind::binary_weights)
        return lower_real_inputs(lowering, shape, scaling, !beta_scaling);
    fused.binary =
        pack_bits(lowering.node.weights.at("weight").values(), shape, lowering.kernels.vector_width);
    fused.binary.scale = padded_to_vectors(scaling.scale);
    fused.binary.bias =
        padded_to_vectors(beta_scaling ? std::vector<float>(scaling.bias.size(), 0.0f) : scaling.bias);
    fused.binary.input_bias = padded_to_vectors(scaling.input_bias);
    fused.binary.input_scale = padded_to_vectors(scaling.input_scale);
}

void make_binary_steps(StepBuilder &builder, const FusedOperation &fused, ops::BinaryKind kind,
                       bool beta_scaling, const WindowAxis &vertical, const WindowAxis &horizontal) {
    // With beta scaling, a first step stores the sums and a second one scales them in place.
    const Epilogue first = beta_scaling ? Epilogue{} : epilogue_of(fused);
    if (kind == ops::BinaryKind::binary_weights) {
        ConvolutionTask task;
        task.vertical = vertical;
        task.horizontal = horizontal;
        task.packed = &fused.packed;
        task.epilogue = first;
        builder.begin(fused, task);
    } else {
        BinaryConvolutionTask task;
        task.vertical = vertical;
        task.horizontal = horizontal;
        task.weights = &fused.binary;
        task.signs = kind == ops::BinaryKind::xnor;
        task.epilogue = first;
        builder.begin(fused, task);
    }
    if (!beta_scaling) return;
    BetaScalingTask task;
    task.vertical = vertical;
    task.horizontal = horizontal;
    task.bias = fused.shift.data();
    task.epilogue = epilogue_of(fused);
    builder.begin(fused, task);
}

} // namespace

void lower(const OperationLowering &lowering, const ops::BinaryConvolution &convolution) {
    lower_binary(lowering, convolution.kind, convolution.beta_scaling);
}

void lower(const OperationLowering &lowering, const ops::BinaryFullyConnected &dense) {
    lower_binary(lowering, dense.kind, dense.beta_scaling);
}

void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::BinaryConvolution &convolution) {
    const Shape &input = builder.input_shape(fused);
    const ops::CanonicalWindow window =
        convolution.window.canonical(ops::BinaryConvolution::info, input[1], input[2]);
    make_binary_steps(builder, fused, convolution.kind, convolution.beta_scaling,
                      kernel_axis(window.vertical), kernel_axis(window.horizontal));
}

void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::BinaryFullyConnected &dense) {
    const Extents extents = extents_of(builder.input_shape(fused));
    WindowAxis vertical, horizontal;
    vertical.kernel = extents.height;
    horizontal.kernel = extents.width;
    make_binary_steps(builder, fused, dense.kind, dense.beta_scaling, vertical, horizontal);
}

} // namespace mpscnn::cpu
