#include "metal/layers/convolution.h"
#include "shaders/subpixel_params.h"

namespace mpscnn::metal {

namespace {

static_assert(sizeof(SubpixelParams) == 15 * sizeof(int));

/// Rearranges channels to blocks of pixels.
class Rearrangement {
public:
    Rearrangement(std::int64_t scale, ops::SubpixelOrder order, const LayerSource &source, Device &device)
        : shaders_(source, device), scale_(scale), order_(order), activation_(activation_of(source)),
          slopes_(device.make_constants(slopes_in_slices(source))) {}

    ShaderCall call(const ImageLayout &from, const ImageLayout &to) const {
        const SubpixelParams params{from.params(), to.params(), static_cast<unsigned int>(scale_),
                                    order_ == ops::SubpixelOrder::channel_major ? 1 : 0, activation_.params};
        return shaders_.call("depth_to_space", {&from, 1}, to, ShaderArguments(params, {slopes_}),
                             activation_.kind);
    }
    bool activates() const { return activation_.kind != NeuronKind::none; }

private:
    ShaderMaker shaders_;
    std::int64_t scale_;
    ops::SubpixelOrder order_;
    Activation activation_;
    objc_ptr<id<MTLBuffer>> slopes_;
};

class DepthToSpace : public Layer {
public:
    DepthToSpace(const ops::DepthToSpace &operation, const LayerSource &source, Device &device)
        : rearrangement_(operation.scale, operation.order, source, device) {}

    std::unique_ptr<Step> bind(Operands operands) const override {
        ShaderCall call = rearrangement_.call(operands.source().layout, operands.destination.layout);
        return shader_step(std::move(call), std::move(operands));
    }

private:
    Rearrangement rearrangement_;
};

/// A subpixel convolution. It does not use MPSCNNSubPixelConvolutionDescriptor, which supports only one order
/// of channels and, with groups, only multiples of four.
class SubpixelConvolution : public Layer {
public:
    SubpixelConvolution(const ops::SubpixelConvolution &operation, const LayerSource &source, Device &device)
        : operation_(operation), precision_(source.precision),
          convolver_(source.node.weights.at("weight").shape(), operation.groups, operation.window,
                     std::nullopt, source, device),
          rearrangement_(operation.scale, operation.order, source, device) {}

    std::unique_ptr<Step> bind(Operands operands) const override {
        const ImageLayout &from = operands.source().layout, &to = operands.destination.layout;
        const ImageLayout convolved = convolved_layout(operands);
        std::vector<Stage> stages{convolver_.stage(from, convolved, window_for(from)),
                                  shader_stage(rearrangement_.call(convolved, to), {1}, to)};
        return staged_step(std::move(stages), std::move(operands));
    }
    std::int64_t max_images(const Operands &operands) const override {
        return convolved_layout(operands).max_images();
    }

private:
    ops::CanonicalWindow window_for(const ImageLayout &from) const {
        return operation_.window.canonical(ops::SubpixelConvolution::info, from.height, from.width);
    }
    /// Return the layout of the convolution's result. It is not rounded, because the activation is applied to
    /// it afterwards.
    ImageLayout convolved_layout(const Operands &operands) const {
        const ops::CanonicalWindow window = window_for(operands.source().layout);
        return {operands.destination.layout.images, window.vertical.output, window.horizontal.output,
                operation_.convolution_channels(),
                rearrangement_.activates() ? engine::Precision::float32 : precision_};
    }

    ops::SubpixelConvolution operation_;
    engine::Precision precision_;
    Convolver convolver_;
    Rearrangement rearrangement_;
};

} // namespace

std::unique_ptr<Layer> make_layer(const ops::DepthToSpace &operation, const LayerSource &source,
                                  Device &device) {
    return std::make_unique<DepthToSpace>(operation, source, device);
}

std::unique_ptr<Layer> make_layer(const ops::SubpixelConvolution &operation, const LayerSource &source,
                                  Device &device) {
    return std::make_unique<SubpixelConvolution>(operation, source, device);
}

} // namespace mpscnn::metal
