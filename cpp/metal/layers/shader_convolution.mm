#include "metal/layers/shader_convolution.h"

#include <string_view>

#include "shaders/neuron_params.h"

namespace mpscnn::metal {

static_assert(sizeof(ConvolutionParams) == 23 * sizeof(int));

std::vector<float> rotated(const std::vector<float> &weights, const Shape &shape) {
    const auto outputs = static_cast<std::size_t>(shape[0]), inputs = static_cast<std::size_t>(shape[3]);
    const std::size_t taps = weights.size() / (outputs * inputs);
    std::vector<float> result(weights.size());
    for (std::size_t output = 0; output < outputs; ++output)
        for (std::size_t tap = 0; tap < taps; ++tap)
            for (std::size_t input = 0; input < inputs; ++input)
                result[(output * taps + tap) * inputs + input] =
                    weights[(output * taps + taps - 1 - tap) * inputs + input];
    return result;
}

ShaderConvolution::ShaderConvolution(const char *shader, const std::vector<float> &weights,
                                     const Shape &shape, std::int64_t groups, const Activation &activation,
                                     const LayerSource &source, Device &device)
    : shader_(shader), shaders_(source, device), precision_(source.precision), group_inputs_(shape[3]),
      group_outputs_(shape[0] / groups), activation_(activation),
      weights_(weights, shape[0], source, device) {}

std::string ShaderConvolution::name_of(const char *shader, engine::Precision precision) {
    return std::string(shader) + (precision == engine::Precision::float16 ? "_of_half" : "_of_float");
}

Stage ShaderConvolution::stage(const ImageLayout &from, const ImageLayout &to,
                               const WindowParams &window) const {
    const ConvolutionParams params{from.params(),
                                   to.params(),
                                   window,
                                   static_cast<unsigned int>(group_inputs_),
                                   static_cast<unsigned int>(group_outputs_),
                                   activation_.params};
    ShaderCall call =
        shaders_.call(name_of(shader_, precision_), {&from, 1}, to,
                      ShaderArguments(params, {weights_.weights, weights_.terms}), activation_.kind);
    ImageLayout grid = to;
    if (std::string_view(shader_) == "pointwise")
        grid.width = (to.width + pointwise_results - 1) / pointwise_results;
    return shader_stage(std::move(call), {0}, to, grid);
}

ActivationBehind::ActivationBehind(const LayerSource &source, Device &device)
    : shaders_(source, device), activation_(activation_of(source)),
      slopes_(device.make_constants(slopes_in_slices(source))) {}

Stage ActivationBehind::stage(const ImageLayout &from, const ImageLayout &to) const {
    const ShaderArguments arguments(NeuronParams{to.params(), activation_.params}, {slopes_});
    return shader_stage(shaders_.call("neuron", {&from, 1}, to, arguments, activation_.kind), {1}, to);
}

} // namespace mpscnn::metal
