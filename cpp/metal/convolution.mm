#include "metal/convolution_weights.h"
#include "metal/neuron.h"
#include "metal/steps.h"
#include "metal/window.h"

namespace mpscnn::metal {

namespace {

using Kernel = objc_ptr<MPSCNNConvolution *>;

/// `shape` is that of the weights: [out][kernel height][kernel width][in / groups].
objc_ptr<MPSCNNConvolutionDescriptor *> describe(const Shape &shape, std::int64_t groups,
                                                 const LayerSource &source) {
    MPSCNNConvolutionDescriptor *descriptor = [MPSCNNConvolutionDescriptor
        cnnConvolutionDescriptorWithKernelWidth:static_cast<NSUInteger>(shape[2])
                                   kernelHeight:static_cast<NSUInteger>(shape[1])
                           inputFeatureChannels:static_cast<NSUInteger>(shape[3] * groups)
                          outputFeatureChannels:static_cast<NSUInteger>(shape[0])];
    [descriptor setGroups:static_cast<NSUInteger>(groups)];
    if (MPSNNNeuronDescriptor *neuron = fused_neuron(source)) [descriptor setFusedNeuronDescriptor:neuron];
    return share(descriptor);
}

Kernel make_kernel(const objc_ptr<MPSCNNConvolutionDescriptor *> &descriptor, const LayerSource &source,
                   Device &device) {
    require_weights_fit(source.node.weights.at("weight").values(), source.precision, source.name());
    const auto weights = adopt([[MpscnnConvolutionWeights alloc] initWithDescriptor:descriptor.get()
                                                                               node:source.node
                                                                          precision:source.precision]);
    auto kernel = adopt([[MPSCNNConvolution alloc] initWithDevice:device.get() weights:weights.get()]);
    if (!kernel) fail(ErrorKind::device, "MPS cannot make the convolution of layer " + quoted(source.name()));
    [kernel.get() setLabel:[weights.get() label]];
    [kernel.get() setAccumulatorPrecisionOption:MPSNNConvolutionAccumulatorPrecisionOptionFloat];
    [kernel.get() setEdgeMode:MPSImageEdgeModeZero];
    return kernel;
}

class Convolution : public Layer {
public:
    Convolution(const ops::Convolution &operation, const LayerSource &source, Device &device)
        : window_(operation.window) {
        const auto descriptor = describe(source.node.weights.at("weight").shape(), operation.groups, source);
        [descriptor.get() setStrideInPixelsX:static_cast<NSUInteger>(window_.stride_x)];
        [descriptor.get() setStrideInPixelsY:static_cast<NSUInteger>(window_.stride_y)];
        [descriptor.get() setDilationRateX:static_cast<NSUInteger>(window_.dilation_x)];
        [descriptor.get() setDilationRateY:static_cast<NSUInteger>(window_.dilation_y)];
        kernel_ = make_kernel(descriptor, source, device);
    }

    std::unique_ptr<Step> bind(Operands operands) const override {
        const ImageLayout &source = operands.source().layout;
        const auto window = window_.canonical(ops::Convolution::info, source.height, source.width);
        return mps_step(kernel_.get(), std::move(operands), mps_offset(window));
    }

private:
    ops::Window window_;
    Kernel kernel_;
};

/// A convolution with one window, the whole image. Not MPSCNNFullyConnected, whose headers disagree on the
/// order of rows and columns in the weights.
class FullyConnected : public Layer {
public:
    FullyConnected(const LayerSource &source, const ImageLayout &image, Device &device)
        : offset_{static_cast<NSInteger>(image.width / 2), static_cast<NSInteger>(image.height / 2), 0} {
        const std::int64_t outputs = source.node.weights.at("weight").shape()[0];
        const Shape shape{outputs, image.height, image.width, image.channels};
        kernel_ = make_kernel(describe(shape, 1, source), source, device);
    }

    std::unique_ptr<Step> bind(Operands operands) const override {
        return mps_step(kernel_.get(), std::move(operands), offset_);
    }

private:
    MPSOffset offset_;
    Kernel kernel_;
};

} // namespace

std::unique_ptr<Layer> make_layer(const ops::Convolution &operation, const LayerSource &source,
                                  Device &device) {
    const Shape &input = source.graph.shape(source.node.inputs[0]);
    if (operation.depthwise({&input, 1})) return make_depthwise(operation, source, device);
    return std::make_unique<Convolution>(operation, source, device);
}

std::unique_ptr<Layer> make_layer(const ops::FullyConnected &, const LayerSource &source, Device &device) {
    const engine::ValueId value = source.graph.unreshaped(source.node.inputs[0]);
    const Shape image = source.graph.shape(value).with_batch(1);
    return std::make_unique<FullyConnected>(source, image_layout(image), device);
}

} // namespace mpscnn::metal
