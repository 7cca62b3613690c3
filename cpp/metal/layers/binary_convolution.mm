#include "metal/layers/neuron.h"
#include "metal/layers/steps.h"
#include "metal/layers/window.h"
#include "shaders/binary_convolution_params.h"

namespace mpscnn::metal {

namespace {

static_assert(sizeof(BinaryConvolutionParams) == 24 * sizeof(int));

constexpr std::size_t word_bits = 32;

/// Convert the signs of [out][tap][in] to bits [slice][tap][word][lane]. Bit f % 32 of word f / 32 is set for
/// channel f if its weight is not negative.
std::vector<std::uint32_t> bits_in_slices(const std::vector<float> &weights, const Shape &shape) {
    const auto outputs = static_cast<std::size_t>(shape[0]), inputs = static_cast<std::size_t>(shape.back());
    const std::size_t taps = weights.size() / (outputs * inputs);
    const std::size_t words = (inputs + word_bits - 1) / word_bits;
    std::vector<std::uint32_t> bits((outputs + 3) / 4 * taps * words * 4, 0);
    for (std::size_t output = 0; output < outputs; ++output)
        for (std::size_t tap = 0; tap < taps; ++tap)
            for (std::size_t input = 0; input < inputs; ++input) {
                if (!(weights[(output * taps + tap) * inputs + input] >= 0.0f)) continue;
                const std::size_t word = (output / 4 * taps + tap) * words + input / word_bits;
                bits[word * 4 + output % 4] |= std::uint32_t{1} << input % word_bits;
            }
    return bits;
}

/// A binary convolution. It uses a shader, because MPSCNNBinaryConvolution's treatment of pixels outside the
/// image is not documented.
class BinaryConvolution : public Layer {
public:
    BinaryConvolution(const ops::Window &window, ops::BinaryKind kind, bool beta_scaling,
                      const Shape &weights, const LayerSource &source, Device &device)
        : window_(window), kind_(kind), beta_scaling_(beta_scaling), shaders_(source, device),
          activation_(activation_of(source)) {
        const auto outputs = static_cast<std::size_t>(weights[0]);
        const auto inputs = static_cast<std::size_t>(weights.back());
        bits_ = device.make_constants(bits_in_slices(source.node.weights.at("weight").values(), weights));
        inputs_ = make_terms({source.node.weight_or("input_bias", inputs, 0.0f),
                              source.node.weight_or("input_scale", inputs, 1.0f)});
        terms_ = make_terms({source.node.weight_or("bias", outputs, 0.0f),
                             source.node.weight_or("scale", outputs, 1.0f),
                             source.node.weight_or("slope", 1, 0.0f)});
    }

    std::unique_ptr<Step> bind(Operands operands) const override {
        const ImageLayout &from = operands.source().layout, &to = operands.destination.layout;
        const auto window = window_.canonical(ops::BinaryConvolution::info, from.height, from.width);
        const BinaryConvolutionParams params{
            from.params(),
            to.params(),
            window_params(window),
            static_cast<unsigned int>((static_cast<std::size_t>(from.channels) + word_bits - 1) / word_bits),
            kind_,
            beta_scaling_ ? 1 : 0,
            activation_.params};
        ShaderCall call = shaders_.call("binary_convolution", operands,
                                        ShaderArguments(params, {bits_, inputs_, terms_}), activation_.kind);
        return shader_step(std::move(call), std::move(operands));
    }

private:
    objc_ptr<id<MTLBuffer>> make_terms(const std::vector<std::vector<float>> &parts) const {
        std::vector<float> terms;
        for (const std::vector<float> &part : parts) {
            const std::vector<float> padded = in_slices(part);
            terms.insert(terms.end(), padded.begin(), padded.end());
        }
        return shaders_.device().make_constants(terms);
    }

    ops::Window window_;
    ops::BinaryKind kind_;
    bool beta_scaling_;
    ShaderMaker shaders_;
    Activation activation_;
    objc_ptr<id<MTLBuffer>> bits_;
    objc_ptr<id<MTLBuffer>> inputs_; ///< biases of the input channels and then their factors
    objc_ptr<id<MTLBuffer>> terms_;  ///< biases, then factors, then the slopes of a PReLU
};

} // namespace

std::unique_ptr<Layer> make_layer(const ops::BinaryConvolution &operation, const LayerSource &source,
                                  Device &device) {
    return std::make_unique<BinaryConvolution>(operation.window, operation.kind, operation.beta_scaling,
                                               source.node.weights.at("weight").shape(), source, device);
}

std::unique_ptr<Layer> make_layer(const ops::BinaryFullyConnected &operation, const LayerSource &source,
                                  Device &device) {
    const ImageLayout image = dense_input(source);
    const ops::Window whole{.kernel_height = image.height, .kernel_width = image.width};
    const Shape weights{operation.outputs, image.height, image.width, image.channels};
    return std::make_unique<BinaryConvolution>(whole, operation.kind, operation.beta_scaling, weights, source,
                                               device);
}

} // namespace mpscnn::metal
