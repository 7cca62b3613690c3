/// Non-maximum suppression: among boxes that overlap, only the best one is kept.
#pragma once

#include <cstddef>
#include <vector>

#include "vision/boxes.h"

namespace mpscnn::vision {

enum class SuppressionMethod {
    hard,     ///< a box that overlaps a better kept box by more than iou_threshold is removed
    linear,   ///< every overlap with a better box above iou_threshold multiplies the score by 1 - IoU
    gaussian, ///< every overlap multiplies the score by exp(-IoU^2 / sigma); iou_threshold is ignored
};

/// The settings of non-maximum suppression. The IoU of two boxes is the area of their intersection divided
/// by the area of their union. The soft methods come from Bodla et al. 2017, "Soft-NMS".
struct Suppression {
    SuppressionMethod method = SuppressionMethod::hard;
    /// False: boxes of different classes suppress each other, and a box has its best class.
    bool per_class = true;
    float iou_threshold = 0.6f;
    float sigma = 0.5f;
    float score_threshold = 0.01f; ///< boxes below this score, before or after suppression, are removed
    /// The maximum number of boxes that are compared, the best first: of each class with per_class, otherwise
    /// of all classes together; 0: no such maximum. In any case, at most candidate_limit() boxes of all
    /// classes together are compared.
    int max_candidates = 0;
    /// The maximum number of pairs of box and class of each level of the head that are compared, the best
    /// first; 0: no such maximum. With per_class only.
    int max_per_level = 0;
    int max_per_class = 100;  ///< maximum number of boxes of a class; with per_class only
    int max_detections = 100; ///< maximum number of boxes
    /// The number of best classes that are reported for each box; only without per_class.
    int classes_per_box = 1;

    friend bool operator==(const Suppression &, const Suppression &) = default;
};

/// A box that may be an object of a class.
struct Candidate {
    float score;
    int box, label;
};

/// True if candidate a comes before b, since it has the higher score. For equal scores the lower box comes
/// first, and then the lower label.
bool better(const Candidate &a, const Candidate &b);

/// Throws Error(parameter) for numbers out of range or not finite.
void check(const Suppression &settings);

/// The largest number of candidates of all classes together that suppression compares. Without a limit, the
/// time could be quadratic in the number of candidates. The limit for the soft methods, which take several
/// times as long, is the same as in EfficientDet (Tan et al. 2020, MAX_DETECTION_POINTS). The limit for the
/// hard method is the same as in YOLOv5 (max_nms). Two rotated boxes are compared by logarithms and roots,
/// which take some twenty times as long, so they have the lower limit, too.
inline std::size_t candidate_limit(SuppressionMethod method, const Boxes &boxes) {
    return method == SuppressionMethod::hard && boxes.rotated.empty() ? 30'000 : 5'000;
}

/// Keep the best `max_count` candidates, in any order; remove the others.
void keep_top_k(std::vector<Candidate> &candidates, std::size_t max_count);

/// Suppress candidates regardless of their labels, and return at most `max_count` of them, the best first.
/// Scores are those after soft suppression. Candidate::box is an index into `boxes`; each box occurs once. A
/// box whose edges are in the wrong order is empty. Rotated boxes are compared by their `overlap`.
std::vector<Candidate> suppress(std::vector<Candidate> candidates, const Boxes &boxes,
                                const Suppression &settings, int max_count);

} // namespace mpscnn::vision
