#pragma once

#include "ops/operation.h"

namespace mpscnn::ops {

/// The parameters of a single-shot detector's loss and of its gradient.
struct MultiboxFields {
    /// Numbers of a box before the scores of its classes.
    static constexpr std::int64_t box_numbers = 4;

    float negative_ratio = 3.0f;
    std::int64_t min_negatives = 0;
    float delta = 1.0f;
    float box_weight = 1.0f;

    template <class Visitor> void fields(Visitor &visit) {
        visit("negative_ratio", negative_ratio,
              "so many anchors of the background count for each one that has a box");
        visit("min_negatives", min_negatives, "of the background at least so many of each image count");
        visit("delta", delta, "where the parabola of the boxes' loss ends");
        visit("box_weight", box_weight, "factor of the boxes' loss");
    }

    void check(const OperationInfo &info, const InputShapes &inputs) const;
    /// Logarithms and exponentials of all scores, and comparisons.
    Cost cost(const InputShapes &inputs) const { return {0, 8 * inputs[0].elements()}; }
};

/// The loss of Liu et al. 2016, "SSD: Single Shot MultiBox Detector". Inputs: prediction and labels, (n,
/// anchors, 4 + classes): of each anchor the four numbers of its box, then of the prediction logits, of the
/// labels 1 in the place of its class, the background first. Anchors of a class but the background have a
/// box; labels of zeros alone do not count.
///
/// The sum of Huber's losses of the numbers of all boxes, and of the cross entropies of the anchors with a
/// box and of those of the background that are the most wrong in their image (of equal ones the first), is
/// divided by the number of boxes, or by 1 without any.
struct MultiboxLoss {
    static constexpr OperationInfo info =
        training_info("multibox_loss", "The loss of a single-shot detector.", 2);

    MultiboxFields loss;

    template <class Visitor> void fields(Visitor &visit) { loss.fields(visit); }

    void check(const InputShapes &inputs) const { loss.check(info, inputs); }
    Shape output_shape(const InputShapes &) const { return {1, 1}; }
    WeightSpecs weights(const InputShapes &) const { return {}; }
    Cost cost(const InputShapes &inputs, const Shape &) const { return loss.cost(inputs); }
};

/// The gradient of a MultiboxLoss with respect to its prediction. Inputs: those of the loss.
struct MultiboxLossGradient {
    static constexpr OperationInfo info =
        training_info("multibox_loss_gradient", "Gradient of the loss of a single-shot detector.", 2);

    MultiboxFields loss;

    template <class Visitor> void fields(Visitor &visit) { loss.fields(visit); }

    void check(const InputShapes &inputs) const { loss.check(info, inputs); }
    Shape output_shape(const InputShapes &inputs) const { return inputs[0]; }
    WeightSpecs weights(const InputShapes &) const { return {}; }
    Cost cost(const InputShapes &inputs, const Shape &) const { return loss.cost(inputs); }
};

} // namespace mpscnn::ops
