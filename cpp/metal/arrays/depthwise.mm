#include "metal/arrays/depthwise.h"

#include "metal/layers/neuron.h"
#include "metal/layers/window.h"
#include "shaders/array_depthwise_params.h"

namespace mpscnn::metal {

static_assert(sizeof(ArrayDepthwiseParams) == 22 * sizeof(int));

namespace {

/// Return the shader for a window. There are special shaders for 3x3 windows without dilation whose stride
/// in columns is 1 or 2. They are taken if the device may use them.
std::string shader_for(const WindowParams &window, const ArrayProgram &program, NeuronKind activation) {
    const bool is_small = window.kernel_width == 3 && window.kernel_height == 3 && window.dilation_x == 1 &&
                          window.dilation_y == 1 && window.stride_x <= 2;
    if (is_small) {
        const char *special =
            window.stride_x == 1 ? "array_depthwise_3x3_step1" : "array_depthwise_3x3_step2";
        if (program.choice().may_take(special, activation)) return program.variant_of(special, activation);
    }
    return "array_depthwise";
}

} // namespace

bool is_array_depthwise(const ops::Convolution &convolution, const Shape &input) {
    return convolution.groups == input.back() && convolution.output_channels == input.back() &&
           input.back() % 4 == 0;
}

std::vector<float> weights_for_arrays(const ops::Convolution &convolution, const Shape &input,
                                      std::vector<float> weights) {
    if (!is_array_depthwise(convolution, input)) return weights;
    const auto channels = static_cast<std::size_t>(input.back());
    const std::size_t taps = weights.size() / channels;
    std::vector<float> result(weights.size());
    for (std::size_t channel = 0; channel < channels; ++channel)
        for (std::size_t tap = 0; tap < taps; ++tap)
            result[tap * channels + channel] = weights[channel * taps + tap];
    return result;
}

void add_depthwise(ArrayProgram &program, const ops::Convolution &convolution) {
    const Shape &input = program.shape(0), &output = program.operands().result.shape;
    const Activation activation = activation_of(program.operands().activation);
    const std::size_t weight = *program.weight("weight"), *bias = program.weight("bias");
    const ArrayDepthwiseParams params{
        {},
        array_image(input),
        array_image(output),
        window_params(convolution.window.canonical(convolution.info, input[1], input[2])),
        bias ? 1 : 0,
        activation.params};
    const std::int64_t across = (output[2] + array_depthwise_results - 1) / array_depthwise_results;
    ArrayStage &stage = program.add(shader_for(params.window, program, activation.kind), params,
                                    {0, weight, bias ? *bias : weight, program.result()},
                                    output[0] * output[1] * across * (output.back() / 4));
    stage.activation = activation.kind;
}

} // namespace mpscnn::metal
