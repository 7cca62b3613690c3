#include "vision/targets.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <vector>

#include "core/error.h"
#include "core/text.h"

namespace mpscnn::vision {

namespace {

constexpr std::size_t box_numbers = 4, none = SIZE_MAX;

/// The best anchor of an object, or the best object of an anchor, so far.
struct Match {
    std::size_t index = none;
    float overlap = 0.0f;

    void improve(std::size_t other, float its_overlap) {
        if (its_overlap > overlap) *this = {other, its_overlap};
    }
};

void check(const LabelledBox &object, std::size_t index, int columns) {
    const Box &box = object.box;
    const bool fits = box.left >= 0.0f && box.left < box.right && box.right <= 1.0f && box.top >= 0.0f &&
                      box.top < box.bottom && box.bottom <= 1.0f;
    if (!fits)
        fail(ErrorKind::parameter,
             {"detection: box ", index,
              " must be left < right and top < bottom in fractions of the network's ", "input, 0 to 1, got (",
              box.left, ", ", box.top, ", ", box.right, ", ", box.bottom, ")"});
    if (object.label < 0 || object.label >= columns - 1)
        fail(ErrorKind::parameter,
             {"detection: the class of box ", index, " must be 0 to ", columns - 2, ", got ", object.label});
}

void check_anchors(const Anchors &anchors) {
    for (std::size_t i = 0; i < anchors.size(); ++i)
        if (!(anchors.width[i] > 0.0f && anchors.height[i] > 0.0f))
            fail(ErrorKind::parameter, {"detection: anchor ", i, " has no area: width ", anchors.width[i],
                                        ", height ", anchors.height[i]});
}

/// Return the intersection over union (IoU) of an anchor and a box.
float overlap(const Anchors &anchors, std::size_t anchor, const Box &box) {
    const float width = anchors.width[anchor], height = anchors.height[anchor];
    const float left = anchors.x[anchor] - 0.5f * width, top = anchors.y[anchor] - 0.5f * height;
    const float common_width = std::min(box.right, left + width) - std::max(box.left, left);
    const float common_height = std::min(box.bottom, top + height) - std::max(box.top, top);
    if (!(common_width > 0.0f && common_height > 0.0f)) return 0.0f;
    const float common = common_width * common_height;
    return common / (width * height + (box.right - box.left) * (box.bottom - box.top) - common);
}

/// Return for each anchor the index of its object, or none.
std::vector<std::size_t> match(const Anchors &anchors, std::span<const LabelledBox> objects,
                               float iou_threshold) {
    std::vector<Match> of_object(objects.size()), of_anchor(anchors.size());
    for (std::size_t i = 0; i < objects.size(); ++i)
        for (std::size_t k = 0; k < anchors.size(); ++k) {
            const float common = overlap(anchors, k, objects[i].box);
            of_object[i].improve(k, common);
            of_anchor[k].improve(i, common);
        }
    std::vector<std::size_t> result(anchors.size(), none);
    for (std::size_t k = 0; k < anchors.size(); ++k)
        if (of_anchor[k].overlap >= iou_threshold) result[k] = of_anchor[k].index;

    std::vector<std::size_t> order(objects.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::ranges::stable_sort(
        order, [&](std::size_t a, std::size_t b) { return of_object[a].overlap > of_object[b].overlap; });
    std::vector<bool> taken(anchors.size(), false);
    for (const std::size_t i : order) {
        Match best = of_object[i];
        if (best.index != none && taken[best.index]) {
            best = {};
            for (std::size_t k = 0; k < anchors.size(); ++k)
                if (!taken[k]) best.improve(k, overlap(anchors, k, objects[i].box));
        }
        if (best.index == none) continue;
        taken[best.index] = true;
        result[best.index] = i;
    }
    return result;
}

/// Write the code of a box: the four numbers that decode_boxes converts back to it.
void write_code(const Anchors &anchors, std::size_t anchor, const BoxCoding &coding, const Box &box,
                float *code) {
    const auto &variances = coding.variances;
    const float width = anchors.width[anchor], height = anchors.height[anchor];
    float *const x = code + (coding.y_first ? 1 : 0), *const y = code + (coding.y_first ? 0 : 1);
    x[0] = (0.5f * (box.left + box.right) - anchors.x[anchor]) / (variances[0] * width);
    y[0] = (0.5f * (box.top + box.bottom) - anchors.y[anchor]) / (variances[1] * height);
    x[2] = std::log((box.right - box.left) / width) / variances[2];
    y[2] = std::log((box.bottom - box.top) / height) / variances[3];
}

} // namespace

void write_targets(const Anchors &anchors, const BoxCoding &coding, std::span<const LabelledBox> objects,
                   int columns, float iou_threshold, std::span<float> targets) {
    if (!(iou_threshold > 0.0f && iou_threshold <= 1.0f))
        fail(ErrorKind::parameter,
             {"detection: iou_threshold must be above 0 and at most 1, got ", iou_threshold});
    if (columns < 2 || columns > max_columns)
        fail(ErrorKind::parameter, {"detection: columns must be the background and at least one class, 2 to ",
                                    max_columns, ", got ", columns});
    for (std::size_t i = 0; i < objects.size(); ++i) check(objects[i], i, columns);
    check_anchors(anchors);
    const std::size_t row = box_numbers + static_cast<std::size_t>(columns);
    if (targets.size() != anchors.size() * row)
        fail(ErrorKind::shape, {"detection: targets must have ", row, " numbers for each of ", anchors.size(),
                                " anchors, got ", targets.size(), " numbers"});
    const std::vector<std::size_t> matched = match(anchors, objects, iou_threshold);
    std::ranges::fill(targets, 0.0f);
    for (std::size_t k = 0; k < anchors.size(); ++k) {
        float *const target = targets.data() + k * row;
        if (matched[k] == none) {
            target[box_numbers] = 1.0f;
            continue;
        }
        const LabelledBox &object = objects[matched[k]];
        write_code(anchors, k, coding, object.box, target);
        if (!std::all_of(target, target + box_numbers, [](float number) { return std::isfinite(number); }))
            fail(ErrorKind::parameter, {"detection: the numbers of box ", matched[k], " at anchor ", k,
                                        " are not finite: the anchor or a variance is too small"});
        target[box_numbers + 1 + static_cast<std::size_t>(object.label)] = 1.0f;
    }
}

} // namespace mpscnn::vision
