#pragma once

#include "ops/operation.h"

namespace mpscnn::ops {

/// The kinds of losses, as in MPSCNNLoss. y is an element of the prediction, and t of the labels.
enum class LossKind {
    mean_absolute_error,       ///< |y - t|
    mean_squared_error,        ///< (y - t)^2
    softmax_cross_entropy,     ///< -t * log softmax(y), with label smoothing of t
    sigmoid_cross_entropy,     ///< max(y, 0) - y * t + log(1 + e^-|y|), with label smoothing of t
    categorical_cross_entropy, ///< -t * log y
    hinge,                     ///< max(1 - (2 t - 1) * y, 0)
    huber,                     ///< (y - t)^2 / 2 up to delta, then delta * (|y - t| - delta / 2)
    cosine_distance,           ///< 1 - sum of y * t
    log,                       ///< -t * log(y + epsilon) - (1 - t) * log(1 - y + epsilon)
    kullback_leibler           ///< t * (log t - y): y is the logarithm of a probability
};

template <> struct EnumNames<LossKind> {
    static constexpr std::array<std::pair<const char *, LossKind>, 10> values{
        {{"mean_absolute_error", LossKind::mean_absolute_error},
         {"mean_squared_error", LossKind::mean_squared_error},
         {"softmax_cross_entropy", LossKind::softmax_cross_entropy},
         {"sigmoid_cross_entropy", LossKind::sigmoid_cross_entropy},
         {"categorical_cross_entropy", LossKind::categorical_cross_entropy},
         {"hinge", LossKind::hinge},
         {"huber", LossKind::huber},
         {"cosine_distance", LossKind::cosine_distance},
         {"log", LossKind::log},
         {"kullback_leibler", LossKind::kullback_leibler}}};
};

/// How the losses of the elements are combined.
enum class LossReduction { none, sum, mean, sum_by_nonzero_weights };

template <> struct EnumNames<LossReduction> {
    static constexpr std::array<std::pair<const char *, LossReduction>, 4> values{
        {{"none", LossReduction::none},
         {"sum", LossReduction::sum},
         {"mean", LossReduction::mean},
         {"sum_by_nonzero_weights", LossReduction::sum_by_nonzero_weights}}};
};

/// The parameters that a loss and its gradient share.
struct LossFields {
    LossKind kind = LossKind::mean_squared_error;
    LossReduction reduction = LossReduction::mean;
    bool reduce_across_batch = true;
    float weight = 1.0f;
    float label_smoothing = 0.0f;
    std::int64_t number_of_classes = 1;
    float epsilon = 1e-7f;
    float delta = 1.0f;

    template <class Visitor> void fields(Visitor &visit) {
        visit("kind", kind, "how each element's loss is computed");
        visit("reduction", reduction,
              "none, sum, mean (over pixels and channels; of softmax_cross_entropy over pixels), or "
              "sum_by_nonzero_weights: divided by the number of weights that are not 0, or by 1 without any");
        visit("reduce_across_batch", reduce_across_batch,
              "true: one loss for all images, and means include them; false: one loss for each image");
        visit("weight", weight, "factor of every element");
        visit("label_smoothing", label_smoothing,
              "0 to 1: share of each label that all classes get (softmax_ and sigmoid_cross_entropy)");
        visit("number_of_classes", number_of_classes,
              "classes that share label_smoothing in softmax_cross_entropy");
        visit("epsilon", epsilon, "log: added before logarithms");
        visit("delta", delta, "huber: the largest error with a quadratic loss");
    }

    void check(const OperationInfo &info, const InputShapes &inputs) const;
    /// Return the number by which sums are divided, without the number of images and without given weights.
    /// For `counts_pixels` see Loss.
    std::int64_t divisor(const Shape &prediction, bool counts_pixels) const;
    /// Return whether sum_by_nonzero_weights counts the classes of a pixel as one element.
    bool joins_classes(bool counts_pixels) const {
        return counts_pixels && kind == LossKind::softmax_cross_entropy;
    }
};

/// The loss of a prediction. Inputs: prediction, labels and, optionally, weights, all of one shape. Result:
/// (1, 1) for one loss, (n, 1) for a loss for each image, or the shape of the prediction without a reduction.
struct Loss {
    static constexpr OperationInfo info =
        training_info("loss", "The distance between a prediction and its labels.", 2, 1);

    LossFields loss;
    bool counts_pixels = true;

    template <class Visitor> void fields(Visitor &visit) {
        loss.fields(visit);
        visit("counts_pixels", counts_pixels,
              "sum_by_nonzero_weights of softmax_cross_entropy; true: count pixels with any weight, as its "
              "mean "
              "does; false: count classes, as MPSCNNLoss");
    }

    void check(const InputShapes &inputs) const { loss.check(info, inputs); }
    Shape output_shape(const InputShapes &inputs) const;
    WeightSpecs weights(const InputShapes &) const { return {}; }
    Cost cost(const InputShapes &inputs, const Shape &) const { return {0, 8 * inputs[0].elements()}; }
};

/// The gradient of a loss with respect to its prediction. It has the same inputs as the loss.
struct LossGradient {
    static constexpr OperationInfo info =
        training_info("loss_gradient", "Gradient of a loss with respect to its prediction.", 2, 1);

    LossFields loss;
    bool divides = true;

    template <class Visitor> void fields(Visitor &visit) {
        loss.fields(visit);
        visit("divides", divides,
              "true: the derivative of the loss, divided in the same way, and with the sum of a pixel's "
              "weighted labels as the factor of softmax_cross_entropy's softmax; false: neither, as "
              "MPSCNNLoss");
    }

    void check(const InputShapes &inputs) const;
    Shape output_shape(const InputShapes &inputs) const { return inputs[0]; }
    WeightSpecs weights(const InputShapes &) const { return {}; }
    Cost cost(const InputShapes &inputs, const Shape &) const { return {0, 8 * inputs[0].elements()}; }
};

/// The parameters of a single-shot detector's loss and of its gradient.
struct MultiboxFields {
    /// The number of values that precede the scores of the classes: the four of the box.
    static constexpr std::int64_t box_numbers = 4;

    float negative_ratio = 3.0f;
    std::int64_t min_negatives = 0;
    float delta = 1.0f;
    float box_weight = 1.0f;

    template <class Visitor> void fields(Visitor &visit) {
        visit("negative_ratio", negative_ratio,
              "anchors of the background that count for each anchor with an object");
        visit("min_negatives", min_negatives,
              "minimum number of background anchors that count in each image");
        visit("delta", delta, "the largest error of a box number with a quadratic loss");
        visit("box_weight", box_weight, "factor of the boxes' loss");
    }

    void check(const OperationInfo &info, const InputShapes &inputs) const;
    /// An estimate: logarithms and exponentials of all scores, and comparisons.
    Cost cost(const InputShapes &inputs) const { return {0, 8 * inputs[0].elements()}; }
};

/// The loss of a single-shot detector (Liu et al. 2016, "SSD: Single Shot MultiBox Detector"). Inputs:
/// prediction and labels, both (n, anchors, 4 + classes). The first four numbers of an anchor are its box.
/// The other numbers are logits in the prediction. In the labels, 1 marks the anchor's class, and class 0 is
/// the background. Anchors of other classes than the background have a box. Anchors whose labels are all 0
/// are ignored.
///
/// The result is a sum divided by the number of boxes, or by 1 if there are none. The sum includes the Huber
/// losses of the numbers of all boxes, the cross entropies of the anchors with a box, and the largest cross
/// entropies of background anchors of each image (the first ones among equal ones).
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

/// The gradient of a MultiboxLoss with respect to its prediction. It has the same inputs as the loss.
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
