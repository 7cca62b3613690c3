#include "ops/binary_convolution.h"

#include "ops/fully_connected.h"

namespace mpscnn::ops {

namespace {

WeightSpecs binary_weights(const Shape &weight, std::int64_t outputs) {
    const std::int64_t inputs = weight.back();
    return {{"weight", weight},
            {"bias", {outputs}, false},
            {"scale", {outputs}, false},
            {"input_bias", {inputs}, false},
            {"input_scale", {inputs}, false}};
}

Cost products_of(const Shape &macs) {
    const std::int64_t count = macs.elements();
    return {count / 2, count};
}

} // namespace

void BinaryConvolution::check(const InputShapes &inputs) const {
    require_rank(info, inputs, 4);
    require_fixed_channels(info, inputs);
    require_minimum(info, "output_channels", output_channels, 1);
    window.check(info);
}

Shape BinaryConvolution::output_shape(const InputShapes &inputs) const {
    return {inputs[0][0], window.output_height(info, inputs[0][1]), window.output_width(info, inputs[0][2]),
            output_channels};
}

WeightSpecs BinaryConvolution::weights(const InputShapes &inputs) const {
    return binary_weights({output_channels, window.kernel_height, window.kernel_width, inputs[0].back()},
                          output_channels);
}

Cost BinaryConvolution::cost(const InputShapes &inputs, const Shape &output) const {
    // Shape::elements() multiplies, because it throws for products beyond 64 bits.
    return products_of({2, output.elements(), window.kernel_height, window.kernel_width, inputs[0].back()});
}

void BinaryFullyConnected::check(const InputShapes &inputs) const {
    require_minimum(info, "outputs", outputs, 1);
    require_dense_input(info, inputs);
}

Shape BinaryFullyConnected::output_shape(const InputShapes &inputs) const { return {inputs[0][0], outputs}; }

WeightSpecs BinaryFullyConnected::weights(const InputShapes &inputs) const {
    return binary_weights(inputs[0].with_batch(outputs), outputs);
}

Cost BinaryFullyConnected::cost(const InputShapes &inputs, const Shape &) const {
    return products_of({2, inputs[0].elements(), outputs});
}

} // namespace mpscnn::ops
