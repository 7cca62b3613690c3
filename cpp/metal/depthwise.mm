#include "metal/neuron.h"
#include "metal/steps.h"
#include "metal/weights.h"
#include "metal/window.h"
#include "shaders/depthwise_params.h"

namespace mpscnn::metal {

namespace {

static_assert(sizeof(WindowParams) == 8 * sizeof(int) && sizeof(DepthwiseParams) == 22 * sizeof(int));

/// [channel][tap] to [slice][tap][lane].
std::vector<float> weights_in_slices(const std::vector<float> &weights, std::size_t channels) {
    const std::size_t taps = weights.size() / channels, slices = (channels + 3) / 4;
    std::vector<float> result(slices * taps * 4, 0.0f);
    for (std::size_t channel = 0; channel < channels; ++channel)
        for (std::size_t tap = 0; tap < taps; ++tap)
            result[(channel / 4 * taps + tap) * 4 + channel % 4] = weights[channel * taps + tap];
    return result;
}

/// An own shader: MPS knows no channel multiplier on a Mac.
class Depthwise : public Layer {
public:
    Depthwise(const ops::Convolution &operation, const LayerSource &source, Device &device)
        : shaders_(source, device), window_(operation.window), activation_(activation_of(source)) {
        const auto channels = static_cast<std::size_t>(operation.output_channels);
        const std::vector<float> given = source.node.weights.at("weight").values();
        require_weights_fit(given, source.precision, source.name());
        DeviceWeights weights(weights_in_slices(given, channels), source.precision);
        weights_ = device.make_buffer(weights.data(), weights.bytes());
        std::vector<float> terms = in_slices(source.node.weight_or("bias", channels, 0.0f));
        const std::vector<float> slopes = slopes_in_slices(source);
        terms.insert(terms.end(), slopes.begin(), slopes.end());
        terms_ = device.make_buffer(terms);
    }

    std::unique_ptr<Step> bind(Operands operands) const override {
        const ImageLayout &source = operands.source().layout, &destination = operands.destination.layout;
        const auto window = window_.canonical(ops::Convolution::info, source.height, source.width);
        const auto multiplier = static_cast<unsigned int>(destination.channels / source.channels);
        const DepthwiseParams params{source.params(), destination.params(), window_params(window), multiplier,
                                     activation_.params};
        ShaderCall call = shaders_.call("depthwise", operands, ShaderArguments(params, {weights_, terms_}),
                                        activation_.kind);
        return shader_step(std::move(call), std::move(operands));
    }

private:
    ShaderMaker shaders_;
    ops::Window window_;
    Activation activation_;
    objc_ptr<id<MTLBuffer>> weights_;
    objc_ptr<id<MTLBuffer>> terms_; ///< biases, behind them the slopes of a PReLU
};

} // namespace

std::unique_ptr<Layer> make_depthwise(const ops::Convolution &operation, const LayerSource &source,
                                      Device &device) {
    return std::make_unique<Depthwise>(operation, source, device);
}

} // namespace mpscnn::metal
