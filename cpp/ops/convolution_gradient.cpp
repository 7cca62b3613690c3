#include "ops/convolution_gradient.h"

namespace mpscnn::ops {

namespace {

/// Check the shapes of the inputs. `source` is the index of the convolution's input, `gradient` that of its
/// result's gradient.
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
