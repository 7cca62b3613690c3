#include <cmath>

#include "core/half.h"
#include "cpu/operation.h"

namespace mpscnn::cpu {

namespace {

void round_weights(std::vector<float> &weights, const std::string &layer) {
    for (float &weight : weights) {
        const float rounded = round_to_half(weight);
        if (!std::isfinite(rounded))
            fail(ErrorKind::weights,
                 "layer " + quoted(layer) + ": weight " + std::to_string(weight) +
                     " does not fit into float16, whose largest number is 65504; use float32 "
                     "precision (batch normalization is folded into the weights)");
        weight = rounded;
    }
}

} // namespace

std::vector<float> OperationLowering::weights() const {
    std::vector<float> weights = node.weights.at("weight").values();
    if (precision == engine::Precision::float16) round_weights(weights, node.name);
    return weights;
}

std::vector<float> OperationLowering::bias(std::int64_t outputs) const {
    // Biases stay float32, as those of MPSCNNConvolution.
    return node.weight_or("bias", static_cast<std::size_t>(outputs), 0.0f);
}

PackedConvolution OperationLowering::pack(const Shape &shape, std::int64_t groups) const {
    const engine::FloatWeights values = precision == engine::Precision::float16
                                            ? engine::FloatWeights(weights())
                                            : node.weights.at("weight").floats();
    return kernels.pack_convolution(values.data(), bias(shape[0]).data(), shape[0], shape[1], shape[2],
                                    shape[3], groups);
}

void lower(const OperationLowering &lowering, const ops::Convolution &convolution) {
    lowering.fused.packed = lowering.pack(lowering.node.weights.at("weight").shape(), convolution.groups);
}

void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::Convolution &convolution) {
    const Shape &input = builder.input_shape(fused);
    const ops::Padding border = fused.border.value_or(ops::Padding{});
    const ops::CanonicalWindow window = convolution.window.canonical(
        ops::Convolution::info, input[1] + border.top + border.bottom, input[2] + border.left + border.right);
    ConvolutionTask task;
    task.vertical = kernel_axis(window.vertical);
    task.horizontal = kernel_axis(window.horizontal);
    task.vertical.before += border.top;
    task.horizontal.before += border.left;
    task.packed = &fused.packed;
    task.epilogue = epilogue_of(fused);
    builder.begin(fused, task);
}

} // namespace mpscnn::cpu
