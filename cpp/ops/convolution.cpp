#include "ops/convolution.h"

#include "core/text.h"

namespace mpscnn::ops {

void require_groups(const OperationInfo &info, std::int64_t groups, std::int64_t input_channels,
                    std::int64_t output_channels) {
    require_minimum(info, "groups", groups, 1);
    if (input_channels % groups != 0 || output_channels % groups != 0)
        refuse_parameter(info, "groups",
                         concat({"a divisor of the input channels (", input_channels,
                                 ") and of output_channels (", output_channels, ")"}),
                         groups);
}

void Convolution::check(const InputShapes &inputs) const {
    require_rank(info, inputs, 4);
    require_fixed_channels(info, inputs);
    require_minimum(info, "output_channels", output_channels, 1);
    window.check(info);
    require_groups(info, groups, inputs[0].back(), output_channels);
}

Shape Convolution::output_shape(const InputShapes &inputs) const {
    return {inputs[0][0], window.output_height(info, inputs[0][1]), window.output_width(info, inputs[0][2]),
            output_channels};
}

WeightSpecs Convolution::weights(const InputShapes &inputs) const {
    return {
        {"weight", {output_channels, window.kernel_height, window.kernel_width, inputs[0].back() / groups}},
        {"bias", {output_channels}, false}};
}

Cost Convolution::cost(const InputShapes &inputs, const Shape &output) const {
    // Shape::elements() multiplies, because it throws for products beyond 64 bits.
    const Shape macs{2, output.elements(), window.kernel_height, window.kernel_width,
                     inputs[0].back() / groups};
    const std::int64_t flops = macs.elements();
    return {flops / 2, flops};
}

namespace {

/// Check the shapes of the inputs of a gradient. `source` is the index of the convolution's input among them,
/// and `gradient` the index of the gradient of the convolution's result.
void require_gradient(const OperationInfo &info, const Convolution &convolution, const InputShapes &inputs,
                      std::size_t source, std::size_t gradient) {
    const InputShapes input = inputs.subspan(source, 1);
    convolution.check(input);
    require_shape(info, inputs, gradient, convolution.output_shape(input), "the gradient");
}

} // namespace

void ConvolutionDataGradient::check(const InputShapes &inputs) const {
    require_gradient(info, convolution, inputs, 2, 0);
    require_shape(info, inputs, 1, convolution.weights(inputs.subspan(2, 1))[0].shape, "the weight");
}

Cost ConvolutionDataGradient::cost(const InputShapes &inputs, const Shape &) const {
    return convolution.cost({&inputs[2], 1}, inputs[0]);
}

void ConvolutionWeightGradient::check(const InputShapes &inputs) const {
    require_gradient(info, convolution, inputs, 0, 1);
}

Shape ConvolutionWeightGradient::output_shape(const InputShapes &inputs) const {
    return convolution.weights({&inputs[0], 1})[0].shape;
}

Cost ConvolutionWeightGradient::cost(const InputShapes &inputs, const Shape &) const {
    return convolution.cost({&inputs[0], 1}, inputs[1]);
}

} // namespace mpscnn::ops
