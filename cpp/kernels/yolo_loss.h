#pragma once

#include "kernels/encoding.h"

namespace mpscnn::kernels {

/// MPSCNNYOLOLoss, on whole images. Sources: prediction and labels. Each pixel has x, y, w, h, confidence and
/// classes for each anchor. x and y are positions within the pixel's cell, in the prediction before a
/// sigmoid. w and h are logarithms of the size relative to the anchor's.
struct YoloLoss {
    /// The result that one encode computes.
    enum class Result { gradient, loss };

    Result result = Result::gradient;
    std::vector<double> anchor_boxes; ///< width and height of each anchor, in cells
    ops::LossKind xy_loss_type = ops::LossKind::mean_squared_error,
                  wh_loss_type = ops::LossKind::mean_squared_error,
                  confidence_loss_type = ops::LossKind::sigmoid_cross_entropy,
                  classes_loss_type = ops::LossKind::softmax_cross_entropy;
    ops::LossReduction reduction_type = ops::LossReduction::none;
    bool reduce_across_batch = false, rescore = true;
    float scale_xy = 10.0f, scale_wh = 10.0f, scale_no_object = 5.0f, scale_object = 100.0f,
          scale_class = 2.0f;
    float min_iou_for_object_presence = 0.7f, max_iou_for_object_absence = 0.3f;

    template <class Visitor> void fixed(Visitor &visit) {
        visit("anchor_boxes", anchor_boxes, "width and height of each anchor, in cells");
    }
    template <class Visitor> void fields(Visitor &visit) {
        visit("result", result, "'gradient' of the prediction, or 'loss'");
        visit("xy_loss_type", xy_loss_type, "loss of the places");
        visit("wh_loss_type", wh_loss_type, "loss of the sizes");
        visit("confidence_loss_type", confidence_loss_type, "loss of the confidence");
        visit("classes_loss_type", classes_loss_type, "loss of the classes");
        visit("reduction_type", reduction_type, "'none', 'sum' or 'mean'");
        visit("reduce_across_batch", reduce_across_batch,
              "whether there is one loss for all images, or one for each");
        visit("rescore", rescore,
              "whether the confidence shall be the IOU with the label's box, otherwise 1");
        visit("scale_xy", scale_xy, "factor of the loss of places");
        visit("scale_wh", scale_wh, "factor of the loss of sizes");
        visit("scale_no_object", scale_no_object, "factor of the confidence's loss where there is no object");
        visit("scale_object", scale_object, "factor of the confidence's loss where there is one");
        visit("scale_class", scale_class, "factor of the loss of classes");
        visit("min_iou_for_object_presence", min_iou_for_object_presence,
              "a box without a label whose IOU with a label's box is above has an object");
        visit("max_iou_for_object_absence", max_iou_for_object_absence,
              "a box without a label has no object where all of its IOUs are below");
    }

    void check(const std::string &kernel) const;
    ops::WeightSpecs weights() const { return {}; }
    std::int64_t output_channels(ChannelCounts sources) const { return is_map() ? sources[0] : 1; }
    ImageDescriptor destination(std::span<const ImageDescriptor> sources) const;
    int build(EncodingBuilder &builder) const;

private:
    /// Return whether the result has the prediction's size.
    bool is_map() const { return result == Result::gradient || reduction_type == ops::LossReduction::none; }
};

} // namespace mpscnn::kernels

namespace mpscnn::ops {

template <> struct EnumNames<kernels::YoloLoss::Result> {
    using Result = kernels::YoloLoss::Result;
    static constexpr std::array<std::pair<const char *, Result>, 2> values{
        {{"gradient", Result::gradient}, {"loss", Result::loss}}};
};

} // namespace mpscnn::ops
