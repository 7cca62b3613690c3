#include "vision/nms.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "core/error.h"
#include "vision/lanes.h"
#include "vision/rotated_boxes.h"

namespace mpscnn::vision {

namespace {

float length(float low, float high) { return high > low ? high - low : 0.0f; }

float area(const Box &box) { return length(box.left, box.right) * length(box.top, box.bottom); }

/// The boxes with which one box is compared, four at a time. The last vector is filled with empty boxes,
/// which overlap nothing.
class ComparedBoxes {
public:
    void resize(std::size_t count) {
        edges_.resize(whole_vectors(count));
        areas_.resize(whole_vectors(count));
    }
    void set(std::size_t index, const Box &box) {
        edges_.set(index, box);
        areas_[index] = area(box);
    }
    Box operator[](std::size_t index) const { return edges_[index]; }
    std::size_t size() const { return areas_.size(); }

    struct Overlap {
        Float4 intersection, all;
    };
    /// Return the areas of the intersections and unions of `box` with the boxes from `index` on.
    Overlap overlap(std::size_t index, const Box &box, float box_area) const {
        const Float4 width = minimum(load(&edges_.right[index]), splat(box.right)) -
                             maximum(load(&edges_.left[index]), splat(box.left));
        const Float4 height = minimum(load(&edges_.bottom[index]), splat(box.bottom)) -
                              maximum(load(&edges_.top[index]), splat(box.top));
        const Float4 zero = splat(0.0f);
        const Float4 intersection = maximum(width, zero) * maximum(height, zero);
        return {intersection, load(&areas_[index]) + box_area - intersection};
    }

private:
    Boxes edges_;
    std::vector<float> areas_;
};

/// The boxes that hard suppression has kept so far.
class KeptBoxes {
public:
    bool overlap(const Box &box, float threshold) const {
        const float own = area(box);
        for (std::size_t i = 0; i < boxes_.size(); i += lanes) {
            const auto [intersection, all] = boxes_.overlap(i, box, own);
            // Compare without a division. If the union is empty, the intersection is empty, too.
            if (any(intersection > all * threshold)) return true;
        }
        return false;
    }
    void add(const Box &box) {
        boxes_.resize(count_ + 1);
        boxes_.set(count_++, box);
    }

private:
    ComparedBoxes boxes_;
    std::size_t count_ = 0;
};

/// The rotated boxes that hard suppression has kept so far.
class KeptRotatedBoxes {
public:
    bool overlap(const Gaussian &box, float threshold) const {
        return std::any_of(boxes_.begin(), boxes_.end(),
                           [&](const Gaussian &kept) { return vision::overlap(kept, box) > threshold; });
    }
    void add(const Gaussian &box) { boxes_.push_back(box); }

private:
    std::vector<Gaussian> boxes_;
};

/// Suppress with SuppressionMethod::hard. Usually few candidates are needed, and a heap finds the best ones
/// without sorting all of them. `boxes` are Boxes, or rotated ones for KeptRotatedBoxes.
template <class Kept, class AllBoxes>
std::vector<Candidate> suppress_hard(std::vector<Candidate> &heap, const AllBoxes &boxes, float threshold,
                                     std::size_t max_count) {
    const auto worse = [](const Candidate &a, const Candidate &b) { return better(b, a); };
    std::make_heap(heap.begin(), heap.end(), worse);
    std::vector<Candidate> kept;
    Kept compared;
    while (!heap.empty() && kept.size() < max_count) {
        std::pop_heap(heap.begin(), heap.end(), worse);
        const Candidate candidate = heap.back();
        heap.pop_back();
        const auto box = boxes[static_cast<std::size_t>(candidate.box)];
        if (compared.overlap(box, threshold)) continue;
        compared.add(box);
        kept.push_back(candidate);
    }
    return kept;
}

class SoftSuppression {
public:
    SoftSuppression(std::vector<Candidate> &candidates, const Boxes &boxes, const Suppression &settings)
        : candidates_(candidates), settings_(settings), scores_(whole_vectors(candidates.size()), taken) {
        std::sort(candidates_.begin(), candidates_.end(),
                  [](const Candidate &a, const Candidate &b) { return a.box < b.box; });
        compared_.resize(candidates_.size());
        for (std::size_t i = 0; i < candidates_.size(); ++i) {
            scores_[i] = candidates_[i].score;
            compared_.set(i, boxes[static_cast<std::size_t>(candidates_[i].box)]);
        }
    }

    std::vector<Candidate> run(std::size_t max_count) {
        std::vector<Candidate> kept;
        while (kept.size() < max_count) {
            Float4 best = splat(taken);
            for (std::size_t i = 0; i < scores_.size(); i += lanes) best = maximum(load(&scores_[i]), best);
            const float score = largest(best);
            if (score == taken || score < settings_.score_threshold) break;
            const auto index =
                static_cast<std::size_t>(std::find(scores_.begin(), scores_.end(), score) - scores_.begin());
            kept.push_back({score, candidates_[index].box, candidates_[index].label});
            scores_[index] = taken;
            decay(compared_[index]);
        }
        return kept;
    }

private:
    /// The score that marks a candidate that run() has kept. It is lower than the scores of all other
    /// candidates.
    static constexpr float taken = -1.0f;

    void decay(const Box &box) {
        const float own = area(box);
        const Float4 zero = splat(0.0f), one = splat(1.0f);
        for (std::size_t i = 0; i < scores_.size(); i += lanes) {
            const auto [intersection, all] = compared_.overlap(i, box, own);
            const Float4 iou = intersection > zero ? intersection / all : zero;
            const Float4 factor = settings_.method == SuppressionMethod::gaussian
                                      ? exponential(iou * iou * (-1.0f / settings_.sigma))
                                      : (iou > settings_.iou_threshold ? one - iou : one);
            const Float4 score = load(&scores_[i]);
            store(&scores_[i], score < zero ? score : score * factor);
        }
    }

    std::vector<Candidate> &candidates_;
    const Suppression &settings_;
    std::vector<float> scores_;
    ComparedBoxes compared_;
};

void check_minimum(int value, int minimum, const char *name) {
    if (value < minimum)
        fail(ErrorKind::parameter, {"detection: ", name, " is ", value, ", expected at least ", minimum});
}

void check_fraction(float value, const char *name) {
    if (!(value >= 0.0f && value <= 1.0f))
        fail(ErrorKind::parameter, {"detection: ", name, " is ", value, ", expected 0 to 1"});
}

} // namespace

bool better(const Candidate &a, const Candidate &b) {
    if (a.score != b.score) return a.score > b.score;
    return a.box != b.box ? a.box < b.box : a.label < b.label;
}

void check(const Suppression &settings) {
    if (settings.method < SuppressionMethod::hard || settings.method > SuppressionMethod::gaussian)
        fail(ErrorKind::parameter,
             {"detection: unknown suppression method number ", static_cast<int>(settings.method)});
    check_fraction(settings.iou_threshold, "iou_threshold");
    check_fraction(settings.score_threshold, "score_threshold");
    if (!(settings.sigma > 0.0f) || !std::isfinite(settings.sigma))
        fail(ErrorKind::parameter,
             {"detection: sigma is ", settings.sigma, ", expected a finite number above 0"});
    check_minimum(settings.max_candidates, 0, "max_candidates");
    check_minimum(settings.max_per_level, 0, "max_per_level");
    check_minimum(settings.max_per_class, 1, "max_per_class");
    check_minimum(settings.max_detections, 1, "max_detections");
    check_minimum(settings.classes_per_box, 1, "classes_per_box");
}

void keep_top_k(std::vector<Candidate> &candidates, std::size_t max_count) {
    if (candidates.size() <= max_count) return;
    std::nth_element(candidates.begin(), candidates.begin() + static_cast<std::ptrdiff_t>(max_count),
                     candidates.end(), better);
    candidates.resize(max_count);
}

std::vector<Candidate> suppress(std::vector<Candidate> candidates, const Boxes &boxes,
                                const Suppression &settings, int max_count) {
    if (settings.max_candidates > 0)
        keep_top_k(candidates, static_cast<std::size_t>(settings.max_candidates));
    keep_top_k(candidates, candidate_limit(settings.method, boxes));
    const auto wanted = static_cast<std::size_t>(max_count);
    if (!boxes.rotated.empty()) // check(DetectionHead) has refused soft methods
        return suppress_hard<KeptRotatedBoxes>(candidates, boxes.rotated, settings.iou_threshold, wanted);
    if (settings.method == SuppressionMethod::hard)
        return suppress_hard<KeptBoxes>(candidates, boxes, settings.iou_threshold, wanted);
    return SoftSuppression(candidates, boxes, settings).run(wanted);
}

} // namespace mpscnn::vision
