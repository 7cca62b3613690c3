#include "metal/neuron.h"
#include "metal/steps.h"
#include "metal/weights.h"
#include "metal/window.h"
#include "shaders/depthwise_params.h"

namespace mpscnn::metal {

namespace {

static_assert(sizeof(ImageParams) == 5 * sizeof(int) && sizeof(WindowParams) == 8 * sizeof(int));
static_assert(sizeof(DepthwiseParams) == 22 * sizeof(int));

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
        : name_(source.name()), window_(operation.window), activation_(activation_params(source)),
          precision_(source.precision), device_(device) {
        const auto channels = static_cast<std::size_t>(operation.output_channels);
        const std::vector<float> given = source.node.weights.at("weight").values();
        require_weights_fit(given, precision_, name_);
        DeviceWeights weights(weights_in_slices(given, channels), precision_);
        weights_ = device.make_buffer(weights.data(), weights.bytes());
        std::vector<float> terms = in_slices(source.node.weight_or("bias", channels, 0.0f));
        const std::vector<float> slopes = slopes_in_slices(source);
        terms.insert(terms.end(), slopes.begin(), slopes.end());
        terms_ = device.make_buffer(terms.data(), terms.size() * sizeof(float));
    }

    std::unique_ptr<Step> bind(Operands operands) const override {
        const ImageLayout &source = operands.source().layout, &destination = operands.destination.layout;
        const auto window = window_.canonical(ops::Convolution::info, source.height, source.width);
        const auto multiplier = static_cast<unsigned int>(destination.channels / source.channels);
        ShaderCall call{name_,
                        device_.shaders().pipeline(shader_name("depthwise", precision_, source, destination)),
                        {},
                        {weights_, terms_}};
        call.set_params(DepthwiseParams{source.params(), destination.params(), window_params(window),
                                        multiplier, activation_});
        return shader_step(std::move(call), std::move(operands));
    }

private:
    std::string name_;
    ops::Window window_;
    ActivationParams activation_;
    engine::Precision precision_;
    Device &device_;
    objc_ptr<id<MTLBuffer>> weights_;
    objc_ptr<id<MTLBuffer>> terms_; ///< biases, behind them the slopes of a PReLU
};

} // namespace

std::unique_ptr<Layer> make_depthwise(const ops::Convolution &operation, const LayerSource &source,
                                      Device &device) {
    return std::make_unique<Depthwise>(operation, source, device);
}

} // namespace mpscnn::metal
