#include "cpu/operation.h"

namespace mpscnn::cpu {

void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::DepthToSpace &operation) {
    DepthToSpaceTask task;
    task.scale = operation.scale;
    task.channel_major = operation.order == ops::SubpixelOrder::channel_major;
    builder.begin(fused, task);
}

void lower(const OperationLowering &lowering, const ops::SubpixelConvolution &convolution) {
    FusedOperation &fused = lowering.fused;
    fused.packed = lowering.pack(lowering.node.weights.at("weight").shape(), convolution.groups);
    // The kernel activates before it rearranges: every channel gets the slope of the channel it becomes.
    if (fused.activation.slopes.size() == 0) return;
    const std::vector<float> slopes = lowering.node.weights.at("slope").values();
    const auto positions = static_cast<std::size_t>(convolution.scale * convolution.scale);
    const bool channel_major = convolution.order == ops::SubpixelOrder::channel_major;
    std::vector<float> expanded(slopes.size() * positions);
    for (std::size_t i = 0; i < expanded.size(); ++i)
        expanded[i] = slopes[channel_major ? i / positions : i % slopes.size()];
    fused.activation.slopes = padded_to_vectors(expanded);
    fused.activation.activation.slopes = fused.activation.slopes.data();
}

void make_step(StepBuilder &builder, const FusedOperation &fused,
               const ops::SubpixelConvolution &convolution) {
    const Shape &input = builder.input_shape(fused);
    const ops::CanonicalWindow window =
        convolution.window.canonical(ops::SubpixelConvolution::info, input[1], input[2]);
    SubpixelConvolutionTask task;
    task.vertical = kernel_axis(window.vertical);
    task.horizontal = kernel_axis(window.horizontal);
    task.packed = &fused.packed;
    task.scale = convolution.scale;
    task.channel_major = convolution.order == ops::SubpixelOrder::channel_major;
    task.epilogue = epilogue_of(fused);
    builder.begin(fused, task);
}

} // namespace mpscnn::cpu
