#pragma once

#include "kernels/encoding.h"

namespace mpscnn::kernels {

/// Visit the fields of a loss under Apple's names.
template <class Visitor> void visit_loss(Visitor &visit, ops::LossFields &loss) {
    visit("loss_type", loss.kind, "how each element's loss is computed");
    visit("reduction_type", loss.reduction, "how the losses of the elements are combined");
    visit("reduce_across_batch", loss.reduce_across_batch,
          "whether there is one loss for all images of a batch, or one for each");
    visit("weight", loss.weight, "factor of every element");
    visit("label_smoothing", loss.label_smoothing, "share of each label that all classes get, 0 to 1");
    visit("number_of_classes", loss.number_of_classes,
          "the number of classes that share label_smoothing in softmax_cross_entropy");
    visit("epsilon", loss.epsilon, "log: added before logarithms");
    visit("delta", loss.delta, "huber: the largest error with a quadratic loss");
}

/// MPSNNForwardLoss, on whole images. Sources: prediction, labels and, optionally, weights.
struct Loss {
    ops::LossFields loss{.reduction = ops::LossReduction::none, .reduce_across_batch = false};

    template <class Visitor> void fixed(Visitor &) {}
    template <class Visitor> void fields(Visitor &visit) { visit_loss(visit, loss); }

    void check(const std::string &kernel) const;
    ops::WeightSpecs weights() const { return {}; }
    std::int64_t output_channels(ChannelCounts sources) const {
        return loss.reduction == ops::LossReduction::none ? sources[0] : 1;
    }
    /// Return the destination. With a reduction it has one pixel for all images, or one for each image;
    /// otherwise it has the prediction's size.
    ImageDescriptor destination(std::span<const ImageDescriptor> sources) const;
    int build(EncodingBuilder &builder) const;
};

/// The gradient of a loss with respect to its prediction, as MPSCNNLoss or MPSNNLossGradient; the latter
/// multiplies it by the gradient of the loss. Sources: prediction, labels, for MPSNNLossGradient the gradient
/// of the loss and, optionally, weights.
struct LossGradient {
    ops::LossFields loss{.reduction = ops::LossReduction::none, .reduce_across_batch = false};
    bool has_source_gradient = false;

    template <class Visitor> void fixed(Visitor &) {}
    template <class Visitor> void fields(Visitor &visit) { visit_loss(visit, loss); }

    void check(const std::string &kernel) const;
    ops::WeightSpecs weights() const { return {}; }
    std::int64_t output_channels(ChannelCounts sources) const { return sources[0]; }
    ImageDescriptor destination(std::span<const ImageDescriptor> sources) const { return sources[0]; }
    int build(EncodingBuilder &builder) const;
};

/// MPSNNInitialGradient: writes ones.
struct InitialGradient {
    template <class Visitor> void fixed(Visitor &) {}
    template <class Visitor> void fields(Visitor &) {}

    void check(const std::string &) const {}
    ops::WeightSpecs weights() const { return {}; }
    std::int64_t output_channels(ChannelCounts sources) const { return sources[0]; }
    ImageDescriptor destination(std::span<const ImageDescriptor> sources) const { return sources[0]; }
    int build(EncodingBuilder &builder) const;
};

} // namespace mpscnn::kernels
