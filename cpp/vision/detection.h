/// Detection: converts the raw outputs (heads) of a single-shot detector to boxes with classes.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "vision/anchors.h"
#include "vision/boxes.h"
#include "vision/nms.h"
#include "vision/scores.h"
#include "vision/targets.h"

namespace mpscnn::vision {

/// The description of a model's detection outputs: boxes (n, boxes, 4) and scores (n, boxes, columns). Some
/// networks have further outputs, whose names are empty in other heads.
struct DetectionHead {
    AnchorRule anchors = ScaleAnchors{};
    BoxCoding coding;
    ScoreKind score_kind = ScoreKind::sigmoid;
    bool background = true; ///< the first column of the scores is not a class
    Suppression suppression;
    /// The number of boxes of each level of a pyramid of feature maps, for Suppression::max_per_level.
    std::vector<int> levels;
    std::string boxes_output = "boxes", scores_output = "scores";
    /// (n, boxes, 1): the angle in radians by which a box is rotated about its centre (rotated_boxes.h).
    std::string angles_output;
    /// (n, boxes, 3 * points): x and y of each point, as fractions of the input, and its probability.
    std::string keypoints_output;
    /// (n, boxes, channels) and (n, height, width, channels): see ObjectMask.
    std::string coefficients_output, prototypes_output;
};

/// Throws Error(parameter) for numbers out of range.
void check(const DetectionHead &head);

struct Detection {
    Box box; ///< as fractions of the network's input, not clipped to it, before its rotation by `angle`
    float score;
    int label;  ///< class; the background has no number
    int anchor; ///< row of the outputs, which is the anchor's number
    float angle = 0.0f;
};

/// A detection head for one input size. It is immutable, and any number of threads may use it.
class Detector {
public:
    /// `stored` are the anchors for StoredAnchors. Throws Error(parameter).
    Detector(DetectionHead head, int input_height, int input_width, const Anchors &stored = {});

    const DetectionHead &head() const { return head_; }
    /// Return the anchors; there are none with NoAnchors.
    const Anchors &anchors() const { return anchors_; }

    /// Throws Error(shape) if heads with this number of boxes do not fit the anchors.
    void check_box_count(std::size_t boxes) const;

    /// Return the boxes that a network's numbers encode. Throws Error(shape) or Error(parameter).
    Boxes decode(std::span<const float> codes) const;

    /// Return the detections of one image, the best first. `settings` replaces the head's suppression
    /// settings. `angles` are needed if the head has them. Throws Error(shape) for outputs that do not fit
    /// the anchors or each other, Error(parameter) for numbers that are not finite.
    std::vector<Detection> detect(std::span<const float> codes, std::span<const float> scores, int columns,
                                  const Suppression &settings, std::span<const float> angles = {}) const;

    /// Write the training targets of an image with these objects (see write_targets). Throws Error(parameter)
    /// also if there are no anchors or no background class.
    void targets(std::span<const LabelledBox> objects, int columns, float iou_threshold,
                 std::span<float> targets) const;

private:
    DetectionHead head_;
    int input_height_, input_width_;
    Anchors anchors_;
};

} // namespace mpscnn::vision
