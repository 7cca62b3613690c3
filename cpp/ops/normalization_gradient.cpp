#include "ops/normalization_gradient.h"

#include "core/text.h"

namespace mpscnn::ops {

namespace {

/// A gradient of the normalization's result, which has its input's shape, and gamma.
void require_gradient_and_gamma(const OperationInfo &info, const InputShapes &inputs) {
    require_result(info, inputs[0], inputs[1]);
    const Shape channels{1, inputs[1].back()};
    if (inputs.size() == 3 && !(inputs[2] == channels))
        fail(ErrorKind::shape, {info.name, ": input 2, gamma, must have the shape ", channels.text(),
                                ", got ", inputs[2].text()});
}

} // namespace

void GroupNormalizationGradient::check(const InputShapes &inputs) const {
    normalization.check(inputs.subspan(1, 1));
    require_gradient_and_gamma(info, inputs);
}

void LayerNormalizationGradient::check(const InputShapes &inputs) const {
    normalization.check(inputs.subspan(1, 1));
    require_gradient_and_gamma(info, inputs);
}

} // namespace mpscnn::ops
