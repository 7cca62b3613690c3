/// Non-maximum suppression: of boxes that overlap, the best one stays.
#pragma once

#include <cstddef>
#include <vector>

#include "vision/boxes.h"

namespace mpscnn::vision {

enum class SuppressionMethod {
    hard,     ///< what overlaps a better box by more than iou_threshold is left out
    linear,   ///< instead its score is multiplied by 1 - IoU
    gaussian, ///< every overlap multiplies the score by exp(-IoU^2 / sigma), whatever iou_threshold
};

/// IoU: area of the intersection / area of the union. The soft methods are those of Bodla et al. 2017,
/// "Soft-NMS".
struct Suppression {
    SuppressionMethod method = SuppressionMethod::hard;
    bool per_class =
        true; ///< false: boxes of different classes suppress each other, a box counts by its best class
    float iou_threshold = 0.6f;
    float sigma = 0.5f;
    float score_threshold = 0.01f; ///< what is, or becomes, less probable is left out
    int max_candidates = 0;  ///< this many best boxes of a class are looked at; 0: all, see candidate_limit()
    int max_per_class = 100; ///< at most this many of a class stay; with per_class only
    int max_detections = 100; ///< at most this many boxes stay
    int classes_per_box = 1;  ///< of each box this many best classes are reported; without per_class only

    friend bool operator==(const Suppression &, const Suppression &) = default;
};

/// A box that may be an object of a class.
struct Candidate {
    float score;
    int box, label;
};

/// Whether a comes before b: the higher score; of equal ones the lower box, then the lower label.
bool better(const Candidate &a, const Candidate &b);

/// Throws Error(parameter) for numbers out of range or not finite.
void check(const Suppression &settings);

/// The largest number of candidates that suppression compares, of all classes together. Without a limit the
/// time could be quadratic in their number. The numbers are those of EfficientDet (Tan et al. 2020,
/// MAX_DETECTION_POINTS) for the soft methods, whose step takes several times as long, and of YOLOv5
/// (max_nms) for the hard one.
constexpr std::size_t candidate_limit(SuppressionMethod method) {
    return method == SuppressionMethod::hard ? 30'000 : 5'000;
}

/// Leaves the best `most` of the candidates, in any order.
void keep_best(std::vector<Candidate> &candidates, std::size_t most);

/// At most `most` of the candidates, which suppress each other whatever their labels; the best first, with
/// the scores that soft suppression left them. `boxes` is indexed by Candidate::box; each box occurs once. A
/// box whose edges are in the wrong order is empty.
std::vector<Candidate> suppress(std::vector<Candidate> candidates, const Boxes &boxes,
                                const Suppression &settings, int most);

} // namespace mpscnn::vision
