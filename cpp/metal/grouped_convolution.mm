#include "metal/grouped_convolution.h"

#include "metal/weights.h"

namespace mpscnn::metal {

namespace {

static_assert(sizeof(ConvolutionParams) == 23 * sizeof(int));

/// To [slice][kernel height][kernel width][in / groups][lane].
std::vector<float> weights_in_slices(const std::vector<float> &weights, std::size_t outputs) {
    const std::size_t products = weights.size() / outputs, slices = (outputs + 3) / 4;
    std::vector<float> result(slices * products * 4, 0.0f);
    for (std::size_t output = 0; output < outputs; ++output)
        for (std::size_t i = 0; i < products; ++i)
            result[(output / 4 * products + i) * 4 + output % 4] = weights[output * products + i];
    return result;
}

} // namespace

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

GroupedConvolution::GroupedConvolution(const std::vector<float> &weights, const Shape &shape,
                                       std::int64_t groups, const Activation &activation,
                                       const LayerSource &source, Device &device)
    : shaders_(source, device), precision_(source.precision), group_inputs_(shape[3]),
      group_outputs_(shape[0] / groups), activation_(activation) {
    const auto outputs = static_cast<std::size_t>(shape[0]);
    require_weights_fit(weights, precision_, source.name());
    DeviceWeights packed(weights_in_slices(weights, outputs), precision_);
    weights_ = device.make_buffer(packed.data(), packed.bytes());
    std::vector<float> terms = in_slices(source.node.weight_or("bias", outputs, 0.0f));
    const std::vector<float> slopes = slopes_in_slices(source);
    terms.insert(terms.end(), slopes.begin(), slopes.end());
    terms_ = device.make_buffer(terms);
}

ShaderCall GroupedConvolution::call(const char *shader, const ImageLayout &from, const ImageLayout &to,
                                    const WindowParams &window) const {
    const ConvolutionParams params{from.params(),
                                   to.params(),
                                   window,
                                   static_cast<unsigned int>(group_inputs_),
                                   static_cast<unsigned int>(group_outputs_),
                                   activation_.params};
    const std::string name =
        std::string(shader) + (precision_ == engine::Precision::float16 ? "_of_half" : "_of_float");
    return shaders_.call(name, {&from, 1}, to, ShaderArguments(params, {weights_, terms_}), activation_.kind);
}

} // namespace mpscnn::metal
