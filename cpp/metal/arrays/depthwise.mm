#include "metal/arrays/depthwise.h"

#include <optional>

#include "core/text.h"
#include "metal/layers/neuron.h"
#include "metal/layers/window.h"
#include "shaders/array_depthwise_params.h"

namespace mpscnn::metal {

static_assert(sizeof(ArrayDepthwiseParams) == 22 * sizeof(int) &&
              sizeof(ArrayDepthwiseWeightsParams) == 5 * sizeof(int));

namespace {

/// Return the shader for a window. There are special shaders for windows of 3x3 and 5x5 without dilation
/// whose stride in columns is 1 or 2. They are taken if the device may use them.
std::string shader_for(const WindowParams &window, const ArrayProgram &program, NeuronKind activation) {
    const int size = window.kernel_width;
    const bool is_special = (size == 3 || size == 5) && window.kernel_height == size &&
                            window.dilation_x == 1 && window.dilation_y == 1 && window.stride_x <= 2;
    if (is_special) {
        const std::string special =
            concat({"array_depthwise_", size == 3 ? "3x3" : "5x5", "_step", std::to_string(window.stride_x)});
        if (program.choice().may_take(special, activation)) return program.variant_of(special, activation);
    }
    return "array_depthwise";
}

WindowParams window_of(const ops::Convolution &convolution, const Shape &input) {
    return window_params(convolution.window.canonical(convolution.info, input[1], input[2]));
}

/// Add the kernel that writes the convolution of a source to the result.
void add_kernel(ArrayProgram &program, const std::string &shader, const WindowParams &window,
                const Shape &input, std::size_t weight, std::optional<std::size_t> bias,
                const Activation &activation) {
    const Shape &output = program.operands().result.shape;
    ArrayDepthwiseParams params{};
    params.window = window;
    params.input = array_image(input);
    params.output = array_image(output);
    params.has_bias = bias ? 1 : 0;
    params.activation = activation.params;
    const std::int64_t across = (output[2] + array_depthwise_results - 1) / array_depthwise_results;
    program
        .add(shader, params, {0, weight, bias.value_or(weight), program.result()},
             output[0] * output[1] * across * (output.back() / 4))
        .activation = activation.kind;
}

/// Add the kernel that rearranges weights. Return the index of their array.
std::size_t add_rearranged(ArrayProgram &program, std::size_t weight, bool reversed) {
    const Shape &shape = program.shape(weight);
    const std::int64_t elements = shape.elements(), channels = shape[0];
    const std::size_t rearranged = program.add_scratch(elements);
    program.add("array_depthwise_weights",
                ArrayDepthwiseWeightsParams{{},
                                            static_cast<unsigned int>(channels),
                                            static_cast<unsigned int>(elements / channels),
                                            reversed ? 1 : 0},
                {weight, rearranged}, elements);
    return rearranged;
}

std::optional<std::size_t> bias_of(const ArrayProgram &program) {
    const std::size_t *bias = program.weight("bias");
    return bias ? std::optional(*bias) : std::nullopt;
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
    const Activation activation = activation_of(program.operands().activation);
    const WindowParams window = window_of(convolution, program.shape(0));
    add_kernel(program, shader_for(window, program, activation.kind), window, program.shape(0),
               *program.weight("weight"), bias_of(program), activation);
}

bool may_rearrange_depthwise(const ArrayProgram &program, const ops::Convolution &convolution,
                             const Shape &input, NeuronKind activation) {
    return is_array_depthwise(convolution, input) && program.choice().may_take("array_depthwise_weights") &&
           program.choice().may_take("array_depthwise", activation);
}

void add_trained_depthwise(ArrayProgram &program, const ops::Convolution &convolution) {
    const Activation activation = activation_of(program.operands().activation);
    const std::size_t weight = add_rearranged(program, *program.weight("weight"), false);
    const WindowParams window = window_of(convolution, program.shape(0));
    add_kernel(program, shader_for(window, program, activation.kind), window, program.shape(0), weight,
               bias_of(program), activation);
}

void add_depthwise_data_gradient(ArrayProgram &program, const ops::Convolution &convolution) {
    const std::size_t weight = add_rearranged(program, 1, true);
    WindowParams window = window_of(convolution, program.shape(2));
    window.pad_left = (window.kernel_width - 1) * window.dilation_x - window.pad_left;
    window.pad_top = (window.kernel_height - 1) * window.dilation_y - window.pad_top;
    add_kernel(program, shader_for(window, program, NeuronKind::none), window, program.shape(0), weight,
               std::nullopt, activation_of(ops::Neuron{}));
}

} // namespace mpscnn::metal
