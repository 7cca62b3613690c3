#include "ops/multibox_loss.h"

#include <cmath>

#include "core/text.h"

namespace mpscnn::ops {

void MultiboxFields::check(const OperationInfo &info, const InputShapes &inputs) const {
    const Shape &prediction = inputs[0];
    if (prediction.rank() != 3 || prediction.back() < box_numbers + 2)
        fail(ErrorKind::shape,
             {info.name, ": the prediction must have the shape (n, anchors, ", box_numbers,
              " + classes), with at least 2 classes, the background among them, got ", prediction.text()});
    require_shape(info, inputs, 1, prediction, "the labels");
    require_not_negative(info, "negative_ratio", negative_ratio);
    require_at_least(info, "min_negatives", min_negatives, 0);
    if (!(delta > 0.0f) || !std::isfinite(delta))
        refuse_parameter(info, "delta", "above 0 and finite", delta);
    require_not_negative(info, "box_weight", box_weight);
}

} // namespace mpscnn::ops
