#include "metal/layers/convolution.h"

#include "metal/layers/convolution_weights.h"

namespace mpscnn::metal {

namespace {

/// True if MPSCNNConvolution supports groups with this many channels.
bool has_groups_of_four(const Shape &shape, std::int64_t groups) {
    return groups == 1 || (shape[3] % 4 == 0 && shape[0] / groups % 4 == 0);
}

constexpr const char *mps_class = "MPSCNNConvolution";

/// A way to compute a convolution with its activation.
struct Way {
    const char *shader = nullptr; ///< nullptr: MPSCNNConvolution
    /// True: the kernel applies the activation; false: another shader applies it afterwards.
    bool fused = true;
};

/// Return all ways to compute a convolution, the fastest first.
std::vector<Way> candidate_ways(const Shape &shape, std::int64_t groups,
                                const std::optional<ops::Neuron> &neuron, const LayerSource &source) {
    constexpr Way any_groups{"convolution"};
    if (!has_groups_of_four(shape, groups)) return {any_groups};
    if (is_fusible(neuron)) return {Way{nullptr, true}, Way{nullptr, false}, any_groups};
    // For a pointwise convolution the shader comes first. MPS would write a float image, and a second kernel
    // would read it again, which costs more than the products of a single tap. A dense layer is different:
    // its single pixel gives few threads work.
    const bool pointwise = shape[1] == 1 && shape[2] == 1 && source.node.operation.is<ops::Convolution>();
    if (pointwise) return {Way{"pointwise"}, Way{nullptr, false}, any_groups};
    return {Way{nullptr, false}, any_groups};
}

bool may_take(const Way &way, NeuronKind activation, const LayerSource &source) {
    const Choice &choice = source.choice;
    if (way.shader)
        return choice.may_take(ShaderConvolution::name_of(way.shader, source.precision), activation);
    if (!choice.may_take(mps_class)) return false;
    if (activation == NeuronKind::none) return way.fused;
    return way.fused ? choice.may_fuse(activation, mps_class) : choice.may_take("neuron", activation);
}

/// Return the first way that this device may use. If it may use none, return the last one; its use then
/// throws the error.
Way chosen_way(const Shape &shape, std::int64_t groups, const std::optional<ops::Neuron> &neuron,
               const LayerSource &source) {
    const std::vector<Way> ways = candidate_ways(shape, groups, neuron, source);
    const NeuronKind activation = neuron ? neuron->kind : NeuronKind::none;
    for (const Way &way : ways)
        if (may_take(way, activation, source)) return way;
    return ways.back();
}

objc_ptr<MPSCNNConvolutionDescriptor *> describe(const Shape &shape, std::int64_t groups,
                                                 const ops::Window &window) {
    MPSCNNConvolutionDescriptor *descriptor = [MPSCNNConvolutionDescriptor
        cnnConvolutionDescriptorWithKernelWidth:static_cast<NSUInteger>(shape[2])
                                   kernelHeight:static_cast<NSUInteger>(shape[1])
                           inputFeatureChannels:static_cast<NSUInteger>(shape[3] * groups)
                          outputFeatureChannels:static_cast<NSUInteger>(shape[0])];
    [descriptor setGroups:static_cast<NSUInteger>(groups)];
    [descriptor setStrideInPixelsX:static_cast<NSUInteger>(window.stride_x)];
    [descriptor setStrideInPixelsY:static_cast<NSUInteger>(window.stride_y)];
    [descriptor setDilationRateX:static_cast<NSUInteger>(window.dilation_x)];
    [descriptor setDilationRateY:static_cast<NSUInteger>(window.dilation_y)];
    return share(descriptor);
}

objc_ptr<MPSCNNConvolution *> make_kernel(const objc_ptr<MPSCNNConvolutionDescriptor *> &descriptor,
                                          const LayerSource &source, Device &device) {
    require_weights_fit(source.node.weights.at("weight").values(), source.precision, source.name());
    const auto weights = data_source(descriptor.get(), ConvolutionWeights(source));
    auto kernel = adopt([[MPSCNNConvolution alloc] initWithDevice:device.get() weights:weights.get()]);
    if (!kernel)
        fail(ErrorKind::device, {"MPS cannot make the convolution of layer ", quoted(source.name())});
    [kernel.get() setLabel:[weights.get() label]];
    [kernel.get() setAccumulatorPrecisionOption:source.sums == engine::Sums::float16
                                                    ? MPSNNConvolutionAccumulatorPrecisionOptionHalf
                                                    : MPSNNConvolutionAccumulatorPrecisionOptionFloat];
    [kernel.get() setEdgeMode:MPSImageEdgeModeZero];
    return kernel;
}

class Convolution : public Layer {
public:
    Convolution(const ops::Convolution &operation, const LayerSource &source, Device &device)
        : window_(operation.window), convolver_(source.node.weights.at("weight").shape(), operation.groups,
                                                operation.window, source.node.activation, source, device),
          activation_(source, device) {}
    /// Make a dense layer, whose window covers the whole image. MPSCNNFullyConnected is not used, because its
    /// headers disagree on the order of rows and columns in the weights.
    Convolution(const ImageLayout &image, std::int64_t outputs, const LayerSource &source, Device &device)
        : window_{.kernel_height = image.height, .kernel_width = image.width},
          convolver_({outputs, image.height, image.width, image.channels}, 1, window_, source.node.activation,
                     source, device),
          activation_(source, device) {}

    std::unique_ptr<Step> bind(Operands operands) const override {
        const ImageLayout &from = operands.source().layout, &to = operands.destination.layout;
        const auto window = window_.canonical(ops::Convolution::info, from.height, from.width);
        if (convolver_.fused()) return staged_step({convolver_.stage(from, to, window)}, std::move(operands));
        const ImageLayout unrounded = to.unrounded();
        std::vector<Stage> stages{convolver_.stage(from, unrounded, window),
                                  activation_.stage(unrounded, to)};
        return staged_step(std::move(stages), std::move(operands));
    }

private:
    ops::Window window_;
    Convolver convolver_;
    ActivationBehind activation_;
};

} // namespace

Convolver::Convolver(const Shape &shape, std::int64_t groups, const ops::Window &window,
                     const std::optional<ops::Neuron> &neuron, const LayerSource &source, Device &device)
    : name_(source.name()) {
    const Way way = chosen_way(shape, groups, neuron, source);
    fused_ = way.fused;
    if (way.shader) {
        shader_.emplace(way.shader, source.node.weights.at("weight").values(), shape, groups,
                        activation_of(neuron.value_or(ops::Neuron{})), source, device);
        return;
    }
    source.choice.take(mps_class);
    const auto descriptor = describe(shape, groups, window);
    if (MPSNNNeuronDescriptor *attached = fused_ ? fused_neuron(neuron) : nil) {
        source.choice.fuse(neuron->kind, mps_class);
        [descriptor.get() setFusedNeuronDescriptor:attached];
    }
    kernel_ = make_kernel(descriptor, source, device);
}

bool keeps_bytes(const LayerSource &source) {
    const engine::Node &node = source.node;
    const auto weight = node.weights.find("weight");
    if (weight == node.weights.end() || weight->second.ranges().empty()) return false;
    const Shape &shape = weight->second.shape();
    if (const auto *subpixel = node.operation.get_if<ops::SubpixelConvolution>())
        return !chosen_way(shape, subpixel->groups, std::nullopt, source).shader;
    const auto *convolution = node.operation.get_if<ops::Convolution>();
    if (!convolution) return !chosen_way(shape, 1, node.activation, source).shader;
    const Shape &input = source.graph.shape(node.inputs[0]);
    return !convolution->depthwise({&input, 1}) &&
           !chosen_way(shape, convolution->groups, node.activation, source).shader;
}

Stage Convolver::stage(const ImageLayout &from, const ImageLayout &to,
                       const ops::CanonicalWindow &window) const {
    if (!shader_) return mps_stage(kernel_.get(), mps_offset(window), 0, to);
    return shader_->stage(from, to, window_params(window));
}

std::unique_ptr<Layer> make_layer(const ops::Convolution &operation, const LayerSource &source,
                                  Device &device) {
    const Shape &input = source.graph.shape(source.node.inputs[0]);
    if (operation.depthwise({&input, 1})) return make_depthwise(operation, source, device);
    return std::make_unique<Convolution>(operation, source, device);
}

std::unique_ptr<Layer> make_layer(const ops::FullyConnected &operation, const LayerSource &source,
                                  Device &device) {
    return std::make_unique<Convolution>(dense_input(source), operation.outputs, source, device);
}

} // namespace mpscnn::metal
