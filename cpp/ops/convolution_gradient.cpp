#include "ops/convolution_gradient.h"

#include "core/text.h"

namespace mpscnn::ops {

namespace {

/// Whether a tensor may have the extents that are wanted; those of either may be free.
bool agrees(const Shape &given, const Shape &wanted) {
    if (given.rank() != wanted.rank()) return false;
    for (int axis = 0; axis < given.rank(); ++axis)
        if (given[axis] != wanted[axis] && given[axis] != Shape::any && wanted[axis] != Shape::any)
            return false;
    return true;
}

void require_shape(const OperationInfo &info, const char *what, const Shape &given, const Shape &wanted) {
    if (!agrees(given, wanted))
        fail(ErrorKind::shape,
             {info.name, ": ", what, " must have the shape ", wanted.text(), ", got ", given.text()});
}

void require_gradient(const OperationInfo &info, const Convolution &convolution, const Shape &input,
                      const Shape &gradient) {
    convolution.check({&input, 1});
    require_shape(info, "the gradient", gradient, convolution.output_shape({&input, 1}));
}

} // namespace

void ConvolutionDataGradient::check(const InputShapes &inputs) const {
    require_gradient(info, convolution, inputs[2], inputs[0]);
    require_shape(info, "the weight", inputs[1], convolution.weights({&inputs[2], 1})[0].shape);
}

Cost ConvolutionDataGradient::cost(const InputShapes &inputs, const Shape &) const {
    return convolution.cost({&inputs[2], 1}, inputs[0]);
}

void ConvolutionWeightGradient::check(const InputShapes &inputs) const {
    require_gradient(info, convolution, inputs[0], inputs[1]);
}

Shape ConvolutionWeightGradient::output_shape(const InputShapes &inputs) const {
    return convolution.weights({&inputs[0], 1})[0].shape;
}

Cost ConvolutionWeightGradient::cost(const InputShapes &inputs, const Shape &) const {
    return convolution.cost({&inputs[0], 1}, inputs[1]);
}

} // namespace mpscnn::ops
