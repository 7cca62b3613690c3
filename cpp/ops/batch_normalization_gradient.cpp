#include "ops/batch_normalization_gradient.h"

#include <cmath>
#include <cstddef>

#include "core/text.h"

namespace mpscnn::ops {

namespace {

/// The first inputs of both operations: a gradient, an input of its shape, and statistics.
void require_normalization(const OperationInfo &info, const InputShapes &inputs, float epsilon) {
    require_fixed_channels(info, inputs);
    if (!(epsilon > 0.0f) || !std::isfinite(epsilon))
        refuse_parameter(info, "epsilon", "above 0 and finite", epsilon);
    if (!(inputs[1] == inputs[0]))
        fail(ErrorKind::shape, {info.name, ": input 1 must have the shape of the gradient, ",
                                inputs[0].text(), ", got ", inputs[1].text()});
    const Shape rows{1, 2, 1, inputs[0].back()};
    for (std::size_t i = 2; i < inputs.size() && i < 4; ++i)
        if (!(inputs[i] == rows))
            fail(ErrorKind::shape, {info.name, ": input ", i, " must have the shape ", rows.text(), ", got ",
                                    inputs[i].text()});
}

} // namespace

void BatchNormalizationSums::check(const InputShapes &inputs) const {
    require_normalization(info, inputs, epsilon);
}

void BatchNormalizationGradient::check(const InputShapes &inputs) const {
    require_normalization(info, inputs, epsilon);
    const Shape channels{1, inputs[0].back()};
    if (inputs.size() == 5 && !(inputs[4] == channels))
        fail(ErrorKind::shape,
             {info.name, ": gamma must have the shape ", channels.text(), ", got ", inputs[4].text()});
}

} // namespace mpscnn::ops
