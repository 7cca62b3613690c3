#pragma once

#include <memory>
#include <string>
#include <variant>

#include "ops/loss.h"

namespace mpscnn::engine {

class Graph;

/// The loss of a single-shot detector, and the outputs of the network that it compares with labels.
struct MultiboxOptions {
    static constexpr const char *name = "multibox";

    std::string kind = name;
    std::string boxes = "boxes", scores = "scores";
    ops::MultiboxFields multibox;

    template <class Visitor> void fields(Visitor &visit) {
        visit("kind", kind, "multibox");
        visit("boxes", boxes, "the output with the numbers of the boxes, (n, anchors, 4)");
        visit("scores", scores,
              "the output with the logits of the classes, (n, anchors, classes), the background first");
        multibox.fields(visit);
    }
};

/// How a focal loss lowers the losses of elements that are predicted well.
struct FocalFields {
    float gamma = 2.0f;
    ops::LossReduction reduction = ops::LossReduction::mean;
    float weight = 1.0f;

    template <class Visitor> void fields(Visitor &visit) {
        visit("gamma", gamma,
              "exponent of the factor 1 - p, where p is the probability of the label; 0: no factor");
        visit("reduction", reduction, "sum, mean or sum_by_nonzero_weights, as in other losses");
        visit("weight", weight, "factor of the loss");
    }
};

/// The focal loss of classes that exclude each other (Lin et al. 2017, "Focal Loss for Dense Object
/// Detection"): -(1 - p)^gamma * log p, where p is the softmax of the label's class.
struct FocalOptions {
    static constexpr const char *name = "focal";

    std::string kind = name;
    FocalFields focal;

    template <class Visitor> void fields(Visitor &visit) {
        visit("kind", kind, "focal");
        focal.fields(visit);
    }
};

/// The focal loss of independent labels: every channel has a sigmoid.
struct SigmoidFocalOptions {
    static constexpr const char *name = "sigmoid_focal";

    std::string kind = name;
    FocalFields focal;
    float alpha = 0.25f;

    template <class Visitor> void fields(Visitor &visit) {
        visit("kind", kind, "sigmoid_focal");
        focal.fields(visit);
        visit("alpha", alpha,
              "factor of labels of 1; labels of 0 have the factor 1 - alpha; below 0: no factors");
    }
};

/// The dice loss (Milletari et al. 2016, "V-Net"): 1 - (2 * sum of p * t + smooth) / (sum of p + t + smooth).
/// The sums are those of a class over the pixels of an image. p is the softmax of the classes, or the sigmoid
/// of a single channel. The result is the mean over classes and images.
struct DiceOptions {
    static constexpr const char *name = "dice";

    std::string kind = name;
    float smooth = 1.0f;
    float cross_entropy = 0.0f;
    float weight = 1.0f;

    template <class Visitor> void fields(Visitor &visit) {
        visit("kind", kind, "dice");
        visit("smooth", smooth, "is added to both sums, in pixels, so that a class without pixels counts");
        visit("cross_entropy", cross_entropy, "factor of the mean cross entropy of pixels, which is added");
        visit("weight", weight, "factor of the loss");
    }
};

/// A loss that the caller describes as a graph (docs/training.md). Its inputs are "prediction", "labels" and,
/// if batches are weighted, "weights".
struct GraphLoss {
    std::shared_ptr<const Graph> graph;
};

using LossOptions =
    std::variant<ops::LossFields, MultiboxOptions, FocalOptions, SigmoidFocalOptions, DiceOptions, GraphLoss>;

} // namespace mpscnn::engine
