#include "ops/loss.h"

#include <cmath>
#include <cstddef>

#include "core/text.h"

namespace mpscnn::ops {

void LossFields::check(const OperationInfo &info, const InputShapes &inputs) const {
    require_image_or_less(info, inputs[0]);
    for (std::size_t i = 1; i < inputs.size(); ++i)
        require_shape(info, inputs, i, inputs[0], i == 1 ? "the labels" : "the weights");
    require_finite(info, "weight", weight);
    if (!(label_smoothing >= 0.0f && label_smoothing <= 1.0f))
        refuse_parameter(info, "label_smoothing", "0 to 1", label_smoothing);
    require_minimum(info, "number_of_classes", number_of_classes, 1);
    if (!(epsilon >= 0.0f) || !std::isfinite(epsilon))
        refuse_parameter(info, "epsilon", "at least 0 and finite", epsilon);
    if (!(delta > 0.0f) || !std::isfinite(delta))
        refuse_parameter(info, "delta", "above 0 and finite", delta);
    if (kind == LossKind::cosine_distance && reduction != LossReduction::sum)
        refuse_parameter(info, "reduction", "sum for cosine_distance", name_of(reduction));
}

std::int64_t LossFields::divisor(const Shape &prediction, bool counts_pixels) const {
    if (reduction == LossReduction::none || reduction == LossReduction::sum) return 1;
    const std::int64_t elements = prediction.with_batch(1).elements();
    const bool of_mean = reduction == LossReduction::mean;
    return joins_classes(of_mean || counts_pixels) ? elements / prediction.back() : elements;
}

Shape Loss::output_shape(const InputShapes &inputs) const {
    if (loss.reduction == LossReduction::none) return inputs[0];
    return {loss.reduce_across_batch ? 1 : inputs[0][0], 1};
}

void LossGradient::check(const InputShapes &inputs) const {
    loss.check(info, inputs);
    if (divides && inputs.size() == 3 && loss.reduction == LossReduction::sum_by_nonzero_weights)
        refuse_parameter(info, "divides", "false for sum_by_nonzero_weights of given weights", "true");
}

void MultiboxFields::check(const OperationInfo &info, const InputShapes &inputs) const {
    const Shape &prediction = inputs[0];
    if (prediction.rank() != 3 || prediction.back() < box_numbers + 2)
        fail(ErrorKind::shape,
             {info.name, ": the prediction must have the shape (n, anchors, ", box_numbers,
              " + classes), with at least 2 classes, the background among them, got ", prediction.text()});
    require_shape(info, inputs, 1, prediction, "the labels");
    require_not_negative(info, "negative_ratio", negative_ratio);
    require_minimum(info, "min_negatives", min_negatives, 0);
    if (!(delta > 0.0f) || !std::isfinite(delta))
        refuse_parameter(info, "delta", "above 0 and finite", delta);
    require_not_negative(info, "box_weight", box_weight);
}

} // namespace mpscnn::ops
