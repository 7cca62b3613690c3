#include <algorithm>

#include "metal/arrays/array_operations.h"
#include "metal/arrays/depthwise.h"
#include "metal/arrays/separable.h"
#include "metal/arrays/small_product.h"
#include "metal/layers/neuron.h"
#include "metal/layers/window.h"
#include "shaders/array_convolution_params.h"

namespace mpscnn::metal {

namespace {

static_assert(sizeof(ArrayConvolutionParams) == 27 * sizeof(int) &&
              sizeof(ArraySeparableParams) == 44 * sizeof(int));

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

std::int64_t taps_of(const WindowParams &window) {
    return std::int64_t{window.kernel_height} * window.kernel_width;
}

unsigned int pixels_of(const ArrayImage &image) { return image.images * image.height * image.width; }

/// Return the fastest variant of a product shader that the device may use. Variants in simdgroups
/// (shaders/array_simdgroup_product.metal) are faster than those of array_product.metal, but their rounding
/// errors are too large for long sums.
std::string fastest_product(const ArrayProgram &program, const std::string &shader, std::int64_t depths,
                            NeuronKind activation) {
    if (depths <= simdgroup_sum_depths)
        if (auto variant = variant_in_simdgroups(program, shader, activation)) return *variant;
    return program.variant_of(shader, activation);
}

/// Add a matrix product, with one threadgroup for each tile of each part.
ArrayStage &add_product(ArrayProgram &program, const std::string &shader,
                        const ArrayConvolutionParams &params, std::vector<std::size_t> arrays,
                        const ProductExtents &extents, std::int64_t parts = 1,
                        NeuronKind activation = NeuronKind::none) {
    ArrayStage &stage =
        program.add(fastest_product(program, shader, extents.depths, activation), params, std::move(arrays),
                    extents.tiles(product_tile) * parts * std::int64_t{product_threads});
    stage.share(product_threads, 2 * product_floats * sizeof(float));
    return stage;
}

/// Add the product of a convolution. Layers with few pixels have smaller tiles, and read packed weights.
ArrayStage &add_convolution_product(ArrayProgram &program, const std::string &shader,
                                    const ArrayConvolutionParams &params, std::vector<std::size_t> arrays,
                                    const ProductExtents &extents, NeuronKind activation) {
    const auto small = small_product(program, shader, extents, activation);
    if (!small) return add_product(program, shader, params, std::move(arrays), extents, 1, activation);
    arrays[1] = *program.weight(packed_role);
    ArrayStage &stage = program.add(*small, params, std::move(arrays),
                                    extents.tiles(small_tile) * std::int64_t{small_threads});
    stage.share(small_threads, small_floats * sizeof(float));
    return stage;
}

/// True if a convolution can run as a tiled matrix product. One with groups cannot: its groups have few
/// channels each, and would fill a small part of a tile.
bool is_product(const ArrayProgram &program, const ops::Convolution &convolution, const char *shader,
                NeuronKind activation = NeuronKind::none) {
    return convolution.groups == 1 && program.choice().may_take(shader, activation);
}

/// True if result pixel i reads input pixel i only.
bool is_pointwise(const WindowParams &window) {
    return window.kernel_width == 1 && window.kernel_height == 1 && window.stride_x == 1 &&
           window.stride_y == 1 && window.pad_left == 0 && window.pad_top == 0;
}

/// Divide the sums over pixels of a product with this number of tiles. There are enough threadgroups for a
/// large GPU, and a part is short enough for sums in floats.
SumParts product_parts(std::int64_t tiles, std::int64_t pixels) {
    constexpr std::int64_t groups = 512, minimum = 256, maximum = 4096;
    const std::int64_t wanted = std::max<std::int64_t>(groups / tiles, 1);
    const std::int64_t each = std::clamp((pixels + wanted - 1) / wanted, minimum, maximum);
    return SumParts::of_length((each + product_depth - 1) / product_depth * product_depth, pixels);
}

/// Return the product shader for a convolution. Return null for a convolution with groups, and if the device
/// may use none of the shaders.
const char *product_shader(const ArrayProgram &program, const ops::Convolution &convolution,
                           const ArrayConvolutionParams &params, NeuronKind activation) {
    if (is_pointwise(params.window) &&
        is_product(program, convolution, "array_pointwise_product", activation))
        return "array_pointwise_product";
    return is_product(program, convolution, "array_product", activation) ? "array_product" : nullptr;
}

/// Add the kernels of a convolution whose weight and optional bias are sources.
void add_convolution(ArrayProgram &program, const ops::Convolution &convolution,
                     ArrayConvolutionParams params) {
    const ops::Neuron &neuron = program.operands().activation;
    const Activation activation = activation_of(neuron);
    const std::size_t weight = *program.weight("weight"), *bias = program.weight("bias");
    const std::optional<std::size_t> addend = program.operands().addend;
    params.has_bias = bias ? 1 : 0;
    params.has_addend = addend ? 1 : 0;
    params.activation = activation.params;
    const std::size_t biases = bias ? *bias : weight;
    const char *product = product_shader(program, convolution, params, activation.kind);
    ArrayStage &stage =
        product ? add_convolution_product(program, product, params,
                                          {0, weight, biases, addend.value_or(weight), program.result()},
                                          {pixels_of(params.output), params.output.channels,
                                           taps_of(params.window) * params.input.channels},
                                          activation.kind)
                : program.add("array_convolution", params, {0, weight, biases, program.result()},
                              program.operands().result.shape.elements());
    stage.activation = activation.kind;
}

/// Add the kernel of a depthwise convolution and of the pointwise convolution of its results.
void add_separable(ArrayProgram &program, const ops::Convolution &pointwise) {
    const ops::Convolution &depthwise = *program.operands().depthwise;
    const Shape &input = program.shape(0), &output = program.operands().result.shape;
    const Shape between{output[0], output[1], output[2], input.back()};
    const Activation activation = activation_of(program.operands().activation);
    const SeparableLimits limits = *limits_of(program.operands().depthwise_activation);
    const std::size_t weight = *program.weight("weight"), taps = *program.weight("depthwise weight"),
                      *bias = program.weight("bias"), *offsets = program.weight("depthwise bias");
    ArraySeparableParams params{};
    params.source = array_image(input);
    params.window = window_params(depthwise.window.canonical(depthwise.info, input[1], input[2]));
    params.has_offsets = offsets ? 1 : 0;
    params.low = limits.low;
    params.high = limits.high;
    params.product = convolution_params(pointwise, between, output);
    const std::optional<std::size_t> addend = program.operands().addend;
    params.product.has_bias = bias ? 1 : 0;
    params.product.has_addend = addend ? 1 : 0;
    params.product.activation = activation.params;
    const char *shader =
        separable_shader(depthwise, input, program.operands().depthwise_activation, pointwise, between);
    if (!shader) fail(ErrorKind::state, "no kernel computes these two convolutions together");
    ArrayStage &stage = program.add(
        fastest_product(program, shader, input.back(), activation.kind), params,
        {0, weight, bias ? *bias : weight, addend.value_or(weight), taps, offsets ? *offsets : taps,
         program.result()},
        ProductExtents{pixels_of(params.product.output), pointwise.output_channels, input.back()}.tiles(
            product_tile) *
            product_threads);
    stage.share(product_threads, 2 * product_floats * sizeof(float));
    stage.activation = activation.kind;
}

} // namespace

void make_program(ArrayProgram &program, const ops::Convolution &operation) {
    const Shape &input = program.shape(0);
    if (program.operands().depthwise) return add_separable(program, operation);
    if (program.operands().constant_weights && is_array_depthwise(operation, input))
        return add_depthwise(program, operation);
    if (may_rearrange_depthwise(program, operation, input, program.operands().activation.kind))
        return add_trained_depthwise(program, operation);
    add_convolution(program, operation,
                    convolution_params(operation, input, program.operands().result.shape));
}

/// Add a dense layer as a convolution of one pixel whose channels are all inputs.
void make_program(ArrayProgram &program, const ops::FullyConnected &operation) {
    const Shape &input = program.shape(0);
    ops::Convolution pixel;
    pixel.output_channels = operation.outputs;
    const Shape source{input[0], 1, 1, input.with_batch(1).elements()};
    add_convolution(program, pixel, convolution_params(pixel, source, {input[0], 1, 1, operation.outputs}));
}

void make_program(ArrayProgram &program, const ops::ConvolutionDataGradient &operation) {
    const ArrayConvolutionParams params =
        convolution_params(operation.convolution, program.shape(2), program.shape(0));
    const std::vector<std::size_t> arrays{0, 1, program.result()};
    const bool is_dense = params.window.stride_x == 1 && params.window.stride_y == 1;
    if (is_dense && may_rearrange_depthwise(program, operation.convolution, program.shape(2)))
        return add_depthwise_data_gradient(program, operation.convolution);
    if (is_product(program, operation.convolution, "array_data_gradient_product"))
        add_product(program, "array_data_gradient_product", params, arrays,
                    {pixels_of(params.input), params.input.channels,
                     taps_of(params.window) * params.output.channels});
    else
        program.add("array_data_gradient", params, arrays, program.shape(2).elements());
}

void make_program(ArrayProgram &program, const ops::ConvolutionWeightGradient &operation) {
    ArrayConvolutionParams params =
        convolution_params(operation.convolution, program.shape(0), program.shape(1));
    const std::int64_t weights = program.operands().result.shape.elements();
    const bool product = is_product(program, operation.convolution, "array_weight_gradient_product");
    const std::int64_t pixels = pixels_of(params.output);
    ProductExtents extents{params.output.channels, weights / params.output.channels, pixels};
    const SumParts parts =
        product ? product_parts(extents.tiles(product_tile), pixels) : SumParts(weights, pixels);
    extents.depths = parts.part;
    params.weights = static_cast<unsigned int>(weights);
    params.part = static_cast<unsigned int>(parts.part);
    const bool once = parts.count == 1;
    const std::size_t sums = once ? program.result() : program.add_scratch(parts.count * weights);
    if (product)
        add_product(program, "array_weight_gradient_product", params, {0, 1, sums}, extents, parts.count);
    else
        program.add("array_weight_gradient", params, {0, 1, sums}, parts.count * weights);
    if (!once) add_parts(program, sums, parts.count, program.result(), weights);
}

} // namespace mpscnn::metal
