#pragma once

#include "ops/convolution.h"

namespace mpscnn::ops {

/// The gradient of a convolution's input: what each of its pixels gets from the results that it is part of.
/// Inputs: the gradient of the result, the weight, and the convolution's input, of which only the shape
/// counts.
struct ConvolutionDataGradient {
    static constexpr OperationInfo info =
        training_info("convolution_data_gradient", "Gradient of a convolution's input.", 3);

    Convolution convolution;

    template <class Visitor> void fields(Visitor &visit) { convolution.fields(visit); }

    void check(const InputShapes &inputs) const;
    Shape output_shape(const InputShapes &inputs) const { return inputs[2]; }
    WeightSpecs weights(const InputShapes &) const { return {}; }
    Cost cost(const InputShapes &inputs, const Shape &) const;
};

/// The gradient of a convolution's weight, summed over all images. Inputs: the convolution's input and the
/// gradient of its result. Each sum takes blocks of 128 pixels in float32, and of many pixels up to 16 sums
/// in double, in an order that the shapes alone decide.
struct ConvolutionWeightGradient {
    static constexpr OperationInfo info =
        training_info("convolution_weight_gradient", "Gradient of a convolution's weight.", 2);

    Convolution convolution;

    template <class Visitor> void fields(Visitor &visit) { convolution.fields(visit); }

    void check(const InputShapes &inputs) const;
    Shape output_shape(const InputShapes &inputs) const;
    WeightSpecs weights(const InputShapes &) const { return {}; }
    Cost cost(const InputShapes &inputs, const Shape &) const;
};

} // namespace mpscnn::ops
