#include "metal/layers/convolution_weights.h"
#include "metal/layers/shader_convolution.h"
#include "metal/layers/window.h"

namespace mpscnn::metal {

namespace {

constexpr const char *mps_transpose_class = "MPSCNNConvolutionTranspose";

/// A transposed convolution by MPSCNNConvolutionTranspose, which moves its kernel, not rotated, over the
/// input with zeros inserted between its pixels. Its header does not promise that groups or dilation work, or
/// that an attached neuron is applied.
class MpsTransposedConvolution : public Layer {
public:
    MpsTransposedConvolution(const ops::TransposedConvolution &operation, const LayerSource &source,
                             Device &device)
        : window_(operation.window), activates_(activation_of(source).kind != ops::NeuronKind::none),
          activation_(source, device), kernel_(make_kernel(operation, source, device)) {}

    std::unique_ptr<Step> bind(Operands operands) const override {
        const ImageLayout &from = operands.source().layout, &to = operands.destination.layout;
        const auto window = window_.canonical(ops::TransposedConvolution::info, from.height, from.width);
        if (!activates_) return staged_step({stage(window, to)}, std::move(operands));
        const ImageLayout unrounded = to.unrounded();
        std::vector<Stage> stages{stage(window, unrounded), activation_.stage(unrounded, to)};
        return staged_step(std::move(stages), std::move(operands));
    }

private:
    using Kernel = objc_ptr<MPSCNNConvolutionTranspose *>;

    static Kernel make_kernel(const ops::TransposedConvolution &operation, const LayerSource &source,
                              Device &device) {
        source.choice.take(mps_transpose_class);
        ConvolutionWeights weights(source);
        weights.given = engine::Precision::float32; // the header mentions no other type
        weights.rotated = operation.kernel_use == ops::KernelUse::scatter;
        require_weights_fit(weights.weight.values(), source.precision, source.name());
        const Shape &shape = weights.weight.shape();
        MPSCNNConvolutionDescriptor *descriptor = [MPSCNNConvolutionDescriptor
            cnnConvolutionDescriptorWithKernelWidth:static_cast<NSUInteger>(shape[2])
                                       kernelHeight:static_cast<NSUInteger>(shape[1])
                               inputFeatureChannels:static_cast<NSUInteger>(shape[3])
                              outputFeatureChannels:static_cast<NSUInteger>(shape[0])];
        [descriptor setStrideInPixelsX:static_cast<NSUInteger>(operation.window.stride_x)];
        [descriptor setStrideInPixelsY:static_cast<NSUInteger>(operation.window.stride_y)];
        const auto data = adopt([[MpscnnConvolutionWeights alloc] initWithDescriptor:descriptor
                                                                             weights:weights]);
        auto kernel = adopt([[MPSCNNConvolutionTranspose alloc] initWithDevice:device.get()
                                                                       weights:data.get()]);
        if (!kernel)
            fail(ErrorKind::device,
                 {"MPS cannot make the transposed convolution of layer ", quoted(source.name())});
        [kernel.get() setLabel:[data.get() label]];
        [kernel.get() setAccumulatorPrecisionOption:MPSNNConvolutionAccumulatorPrecisionOptionFloat];
        return kernel;
    }

    /// Return MPS's kernel offset, which places the output's first position in the input with inserted zeros;
    /// see ops::TransposedAxis.
    static NSInteger kernel_offset(const ops::TransposedAxis &axis) {
        return static_cast<NSInteger>(axis.before - (axis.kernel - 1) + axis.kernel / 2);
    }

    Stage stage(const ops::CanonicalTransposedWindow &window, const ImageLayout &result) const {
        Stage stage = mps_stage(kernel_.get(), MPSOffset{0, 0, 0}, 0, result);
        const auto encode =
            [kernel = kernel_, x = kernel_offset(window.horizontal), y = kernel_offset(window.vertical),
             encode_kernel = std::move(stage.encode)](Encoding &encoding, std::span<MPSImage *const> images) {
                [kernel.get() setKernelOffsetX:x];
                [kernel.get() setKernelOffsetY:y];
                encode_kernel(encoding, images);
            };
        stage.encode = encode;
        return stage;
    }

    ops::TransposedWindow window_;
    bool activates_;
    ActivationBehind activation_;
    Kernel kernel_;
};

/// A transposed convolution by a shader: with groups or dilation, or if the device may not use MPS's kernel.
class GroupedTransposedConvolution : public Layer {
public:
    GroupedTransposedConvolution(const ops::TransposedConvolution &operation, const LayerSource &source,
                                 Device &device)
        : window_(operation.window), convolution_("transposed_convolution", weights_of(operation, source),
                                                  source.node.weights.at("weight").shape(), operation.groups,
                                                  activation_of(source), source, device) {}

    std::unique_ptr<Step> bind(Operands operands) const override {
        const ImageLayout &from = operands.source().layout, &to = operands.destination.layout;
        const auto window = window_.canonical(ops::TransposedConvolution::info, from.height, from.width);
        return staged_step({convolution_.stage(from, to, window_params(window))}, std::move(operands));
    }

private:
    /// Return the weights for the shader, which adds each input times the kernel to the output (scatter).
    /// Weights for gather are therefore rotated.
    static std::vector<float> weights_of(const ops::TransposedConvolution &operation,
                                         const LayerSource &source) {
        const engine::WeightTensor &weight = source.node.weights.at("weight");
        if (operation.kernel_use == ops::KernelUse::scatter) return weight.values();
        return rotated(weight.values(), weight.shape());
    }

    ops::TransposedWindow window_;
    ShaderConvolution convolution_;
};

} // namespace

std::unique_ptr<Layer> make_layer(const ops::TransposedConvolution &operation, const LayerSource &source,
                                  Device &device) {
    const ops::TransposedWindow &window = operation.window;
    const bool is_of_mps = operation.groups == 1 && window.dilation_y == 1 && window.dilation_x == 1;
    const ops::NeuronKind activation = activation_of(source).kind;
    const bool activates =
        activation == ops::NeuronKind::none || source.choice.may_take("neuron", activation);
    if (is_of_mps && source.choice.may_take(mps_transpose_class) && activates)
        return std::make_unique<MpsTransposedConvolution>(operation, source, device);
    return std::make_unique<GroupedTransposedConvolution>(operation, source, device);
}

} // namespace mpscnn::metal
