#include "vision/detection.h"

#include <algorithm>
#include <cstddef>
#include <functional>
#include <numeric>
#include <utility>

#include "core/error.h"
#include "vision/lanes.h"
#include "vision/rotated_boxes.h"

namespace mpscnn::vision {

namespace {

using CandidateLists = std::vector<std::vector<Candidate>>;

/// Keep the `max_count` best candidates of all lists together; remove the others.
void keep_top_k_of_all(CandidateLists &lists, std::size_t max_count) {
    std::size_t count = 0;
    for (const auto &list : lists) count += list.size();
    if (count <= max_count) return;
    std::vector<Candidate> all;
    all.reserve(count);
    for (auto &list : lists) {
        all.insert(all.end(), list.begin(), list.end());
        list.clear();
    }
    keep_top_k(all, max_count);
    for (const Candidate &candidate : all)
        lists[static_cast<std::size_t>(candidate.label)].push_back(candidate);
}

/// Keep the `max_count` best candidates of each level; remove the others. `levels` has the number of boxes of
/// each. The boxes of each list ascend.
void keep_top_k_of_levels(CandidateLists &lists, const std::vector<int> &levels, std::size_t max_count) {
    CandidateLists found(levels.size());
    for (auto &list : lists) {
        std::size_t level = 0;
        int end = levels[0];
        for (const Candidate &candidate : list) {
            while (candidate.box >= end) end += levels[++level];
            found[level].push_back(candidate);
        }
        list.clear();
    }
    for (auto &level : found) {
        keep_top_k(level, max_count);
        for (const Candidate &candidate : level)
            lists[static_cast<std::size_t>(candidate.label)].push_back(candidate);
    }
}

/// Return the pairs of box and class whose probability is at least `settings.score_threshold`, as one list
/// for each class. `max_count` limits the number of pairs of all lists together.
CandidateLists candidates_by_class(ScoreTable &table, const Suppression &settings,
                                   const std::vector<int> &levels, std::size_t max_count) {
    const float min_score = settings.score_threshold;
    CandidateLists lists(static_cast<std::size_t>(table.classes()));
    for (std::size_t box = 0; box < table.boxes(); ++box) {
        const std::span<const float> row = table.row(box);
        for_vectors(row.data(), row.size(), 0.0f, [&](std::size_t first, Float4 scores) {
            if (!any(scores >= min_score)) return;
            const std::size_t end = std::min(first + lanes, row.size());
            for (std::size_t label = first; label < end; ++label)
                if (row[label] >= min_score)
                    lists[label].push_back({row[label], static_cast<int>(box), static_cast<int>(label)});
        });
    }
    if (settings.max_per_level > 0)
        keep_top_k_of_levels(lists, levels, static_cast<std::size_t>(settings.max_per_level));
    keep_top_k_of_all(lists, max_count);
    return lists;
}

/// Estimate a score that about 20 * max_detections pairs of box and class reach, by looking at every 32nd
/// box. The result is at least settings.score_threshold.
float likely_floor(ScoreTable &table, const Suppression &settings) {
    constexpr std::size_t step = 32, pairs_for_each = 20;
    constexpr float max_floor = 0.999f; // close to 1, rounding of logits limits the accuracy of probabilities
    const std::size_t wanted = static_cast<std::size_t>(settings.max_detections) * pairs_for_each / step;
    std::vector<float> sample;
    for (std::size_t box = 0; box < table.boxes(); box += step)
        for (const float score : table.unchecked_row(box))
            if (score >= settings.score_threshold) sample.push_back(score);
    if (sample.size() <= wanted) return settings.score_threshold;
    const auto floor = sample.begin() + static_cast<std::ptrdiff_t>(wanted);
    std::nth_element(sample.begin(), floor, sample.end(), std::greater<>());
    return std::clamp(*floor, settings.score_threshold, std::max(settings.score_threshold, max_floor));
}

/// Tracks the score that a further detection must reach to be among the best. It is the threshold until the
/// maximum number of detections is found.
class Floor {
public:
    Floor(float min_score, int max_count) : min_(min_score), max_(static_cast<std::size_t>(max_count)) {}

    float value() const { return best_.size() < max_ ? min_ : best_.front(); }
    void add(float score) {
        best_.push_back(score);
        std::push_heap(best_.begin(), best_.end(), std::greater<>());
        if (best_.size() <= max_) return;
        std::pop_heap(best_.begin(), best_.end(), std::greater<>());
        best_.pop_back();
    }

private:
    float min_;
    std::size_t max_;
    std::vector<float> best_; ///< heap of the best scores, the lowest first
};

/// Suppress the candidates of each class. Candidates below the floor (see Floor) are removed before. This
/// does not change the result, because suppression takes candidates by decreasing score and increases no
/// score.
std::vector<Candidate> detect_above(ScoreTable &table, const Boxes &boxes, Suppression settings,
                                    const std::vector<int> &levels) {
    std::vector<Candidate> kept;
    Floor floor(settings.score_threshold, settings.max_detections);
    const std::size_t max_count = candidate_limit(settings.method, boxes);
    for (std::vector<Candidate> &list : candidates_by_class(table, settings, levels, max_count)) {
        settings.score_threshold = floor.value();
        std::erase_if(list, [&](const Candidate &entry) { return entry.score < settings.score_threshold; });
        if (list.empty()) continue;
        const auto best = suppress(std::move(list), boxes, settings, settings.max_per_class);
        for (const Candidate &entry : best) floor.add(entry.score);
        kept.insert(kept.end(), best.begin(), best.end());
    }
    return kept;
}

/// Detect with a higher, estimated threshold first, which is faster. If enough detections reach it,
/// candidates below it have no effect on the result, as in detect_above. Otherwise detect with
/// settings.score_threshold.
std::vector<Candidate> detect_per_class(ScoreTable &table, const Boxes &boxes, const Suppression &settings,
                                        const std::vector<int> &levels) {
    Suppression raised = settings;
    raised.score_threshold = likely_floor(table, settings);
    if (raised.score_threshold > settings.score_threshold) {
        table.set_min(raised.score_threshold);
        std::vector<Candidate> kept = detect_above(table, boxes, raised, levels);
        if (kept.size() >= static_cast<std::size_t>(settings.max_detections)) return kept;
        table.set_min(settings.score_threshold);
    }
    return detect_above(table, boxes, settings, levels);
}

/// Add a kept box's best classes above the threshold. Their probabilities are scaled by the factor by which
/// suppression has reduced the best one.
void add_classes(std::vector<Candidate> &found, std::span<const float> row, const Candidate &kept,
                 const Suppression &settings) {
    const float factor = kept.score / row[static_cast<std::size_t>(kept.label)];
    std::vector<Candidate> classes;
    for (std::size_t label = 0; label < row.size(); ++label)
        if (row[label] * factor >= settings.score_threshold)
            classes.push_back({row[label] * factor, kept.box, static_cast<int>(label)});
    const std::size_t count = std::min(classes.size(), static_cast<std::size_t>(settings.classes_per_box));
    std::partial_sort(classes.begin(), classes.begin() + static_cast<std::ptrdiff_t>(count), classes.end(),
                      better);
    found.insert(found.end(), classes.begin(), classes.begin() + static_cast<std::ptrdiff_t>(count));
}

std::vector<Candidate> detect_across_classes(ScoreTable &table, const Boxes &boxes,
                                             const Suppression &settings) {
    std::vector<Candidate> best;
    for (std::size_t box = 0; box < table.boxes(); ++box) {
        const std::span<const float> row = table.row(box);
        const auto largest = std::max_element(row.begin(), row.end());
        if (largest != row.end() && *largest >= settings.score_threshold)
            best.push_back({*largest, static_cast<int>(box), static_cast<int>(largest - row.begin())});
    }
    auto kept = suppress(std::move(best), boxes, settings, settings.max_detections);
    if (settings.classes_per_box == 1) return kept;
    const std::size_t max_count = candidate_limit(settings.method, boxes);
    std::vector<Candidate> found;
    for (const Candidate &candidate : kept) {
        add_classes(found, table.row(static_cast<std::size_t>(candidate.box)), candidate, settings);
        if (found.size() > 2 * max_count) keep_top_k(found, max_count);
    }
    keep_top_k(found, max_count);
    return found;
}

} // namespace

void check(const DetectionHead &head) {
    check(head.anchors);
    check(head.coding);
    check(head.suppression);
    if (!head.angles_output.empty() && head.suppression.method != SuppressionMethod::hard)
        fail(ErrorKind::parameter,
             "detection: rotated boxes are suppressed by the method 'hard' only: set 'method' to it");
    for (const int level : head.levels)
        if (level < 1)
            fail(ErrorKind::parameter, {"detection: a level has ", level, " boxes, expected 1 or more"});
    if (head.suppression.max_per_level > 0 && (head.levels.empty() || !head.suppression.per_class))
        fail(ErrorKind::parameter,
             "detection: max_per_level needs 'levels' of the boxes, and 'per_class' of the suppression");
    if (head.score_kind < ScoreKind::probability || head.score_kind > ScoreKind::softmax)
        fail(ErrorKind::parameter,
             {"detection: unknown score kind number ", static_cast<int>(head.score_kind)});
}

Detector::Detector(DetectionHead head, int input_height, int input_width, const Anchors &stored)
    : head_(std::move(head)), input_height_(input_height), input_width_(input_width) {
    check(head_);
    anchors_ = make_anchors(head_.anchors, input_height, input_width, stored);
}

void Detector::check_box_count(std::size_t boxes) const {
    const auto &levels = head_.levels;
    if (const auto all = std::accumulate(levels.begin(), levels.end(), std::size_t{0});
        !levels.empty() && all != boxes)
        fail(ErrorKind::shape,
             {"detection: the heads have ", boxes, " boxes, but the levels have ", all, " together"});
    if (std::holds_alternative<NoAnchors>(head_.anchors) || boxes == anchors_.size()) return;
    fail(ErrorKind::shape, {"detection: the heads have ", boxes, " boxes, but there are ", anchors_.size(),
                            " anchors for an input of ", input_height_, "x", input_width_});
}

Boxes Detector::decode(std::span<const float> codes) const {
    Boxes boxes;
    if (codes.size() % 4 == 0) check_box_count(codes.size() / 4);
    if (std::holds_alternative<NoAnchors>(head_.anchors))
        read_edges(codes, head_.coding.y_first, boxes);
    else
        decode_boxes(codes, anchors_, head_.coding, boxes);
    if (head_.coding.clip) clip_boxes(boxes);
    return boxes;
}

std::vector<Detection> Detector::detect(std::span<const float> codes, std::span<const float> scores,
                                        int columns, const Suppression &settings,
                                        std::span<const float> angles) const {
    check(settings);
    ScoreTable table(scores, columns, head_.score_kind, head_.background, settings.score_threshold);
    Boxes boxes = decode(codes);
    if (!head_.angles_output.empty()) rotate(boxes, angles, input_height_, input_width_);
    if (table.boxes() != boxes.size())
        fail(ErrorKind::shape,
             {"detection: scores of ", table.boxes(), " boxes, but ", boxes.size(), " boxes"});
    std::vector<Candidate> kept = settings.per_class ? detect_per_class(table, boxes, settings, head_.levels)
                                                     : detect_across_classes(table, boxes, settings);
    std::sort(kept.begin(), kept.end(), better);
    const auto max_count = static_cast<std::size_t>(settings.max_detections);
    if (settings.per_class && kept.size() > max_count) kept.resize(max_count);
    std::vector<Detection> result;
    result.reserve(kept.size());
    for (const Candidate &candidate : kept) {
        const auto row = static_cast<std::size_t>(candidate.box);
        result.push_back({boxes[row], candidate.score, candidate.label, candidate.box,
                          boxes.rotated.empty() ? 0.0f : angles[row]});
    }
    return result;
}

void Detector::targets(std::span<const LabelledBox> objects, int columns, float iou_threshold,
                       std::span<float> targets) const {
    if (std::holds_alternative<NoAnchors>(head_.anchors))
        fail(ErrorKind::parameter, "detection: a head with the anchor rule 'none' has no targets");
    if (!head_.background)
        fail(ErrorKind::parameter,
             "detection: targets need a background among the scores, and these settings have none");
    write_targets(anchors_, head_.coding, objects, columns, iou_threshold, targets);
}

} // namespace mpscnn::vision
