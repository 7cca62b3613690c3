#pragma once

#include "ops/resize.h"

namespace mpscnn::ops {

/// The gradient of a resize's input: each pixel gets the gradients of the results that are sampled from it,
/// times their weights. Inputs: the gradient of the result, and the resize's input, of which only the shape
/// counts.
struct ResizeGradient {
    static constexpr OperationInfo info =
        training_info("resize_gradient", "Gradient of a resize's input.", 2);

    Resize resize;

    template <class Visitor> void fields(Visitor &visit) { resize.fields(visit); }

    void check(const InputShapes &inputs) const {
        const InputShapes input = inputs.subspan(1, 1);
        resize.check(input);
        if (resize.kind == ResizeKind::lanczos)
            refuse_parameter(info, "kind", "nearest or bilinear", name_of(resize.kind));
        require_result(info, inputs[0], resize.output_shape(input));
    }
    Shape output_shape(const InputShapes &inputs) const { return inputs[1]; }
    WeightSpecs weights(const InputShapes &) const { return {}; }
    Cost cost(const InputShapes &inputs, const Shape &) const {
        return resize.cost(inputs.subspan(1, 1), inputs[0]);
    }
};

} // namespace mpscnn::ops
