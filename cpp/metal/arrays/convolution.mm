#include "metal/arrays/array_operations.h"
#include "metal/layers/neuron.h"
#include "metal/layers/window.h"
#include "shaders/array_convolution_params.h"

namespace mpscnn::metal {

namespace {

static_assert(sizeof(ArrayConvolutionParams) == 26 * sizeof(int));

ArrayConvolutionParams convolution_params(const ops::Convolution &convolution, const Shape &input,
                                          const Shape &output) {
    ArrayConvolutionParams params{};
    params.input = array_image(input);
    params.output = array_image(output);
    params.window = window_params(convolution.window.canonical(convolution.info, input[1], input[2]));
    params.group_inputs = static_cast<unsigned int>(input.back() / convolution.groups);
    params.group_outputs = static_cast<unsigned int>(convolution.output_channels / convolution.groups);
    return params;
}

/// `weight` and the optional `bias` are sources.
void add_convolution(ArrayProgram &program, ArrayConvolutionParams params) {
    const ops::Neuron &neuron = program.operands().activation;
    const Activation activation = activation_of(neuron);
    const std::size_t weight = *program.weight("weight"), *bias = program.weight("bias");
    params.has_bias = bias ? 1 : 0;
    params.activation = activation.params;
    program
        .add("array_convolution", params, {0, weight, bias ? *bias : weight, program.result()},
             program.operands().result.shape.elements())
        .activation = activation.kind;
}

} // namespace

void make_program(ArrayProgram &program, const ops::Convolution &operation) {
    add_convolution(program,
                    convolution_params(operation, program.shape(0), program.operands().result.shape));
}

/// A dense layer is a convolution of one pixel whose channels are all inputs.
void make_program(ArrayProgram &program, const ops::FullyConnected &operation) {
    const Shape &input = program.shape(0);
    ops::Convolution pixel;
    pixel.output_channels = operation.outputs;
    const Shape source{input[0], 1, 1, input.with_batch(1).elements()};
    add_convolution(program, convolution_params(pixel, source, {input[0], 1, 1, operation.outputs}));
}

void make_program(ArrayProgram &program, const ops::ConvolutionDataGradient &operation) {
    program.add("array_data_gradient",
                convolution_params(operation.convolution, program.shape(2), program.shape(0)),
                {0, 1, program.result()}, program.shape(2).elements());
}

void make_program(ArrayProgram &program, const ops::ConvolutionWeightGradient &operation) {
    ArrayConvolutionParams params =
        convolution_params(operation.convolution, program.shape(0), program.shape(1));
    const std::int64_t weights = program.operands().result.shape.elements();
    const SumParts parts(weights, program.shape(1).elements() / program.shape(1).back());
    params.weights = static_cast<unsigned int>(weights);
    params.part = static_cast<unsigned int>(parts.part);
    const bool once = parts.count == 1;
    const std::size_t sums = once ? program.result() : program.add_scratch(parts.count * weights);
    program.add("array_weight_gradient", params, {0, 1, sums}, parts.count * weights);
    if (!once) add_parts(program, sums, parts, program.result(), weights);
}

} // namespace mpscnn::metal
