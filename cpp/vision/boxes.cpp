#include "vision/boxes.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "core/error.h"
#include "vision/lanes.h"

namespace mpscnn::vision {

namespace {

/// Throw Error(parameter) for the first number that is not finite. A fast pass over all numbers tests whether
/// there is one; only then is it searched for.
void check_finite(std::span<const float> numbers) {
    Mask4 wrong{};
    for_vectors(numbers.data(), numbers.size(), 0.0f,
                [&](std::size_t, Float4 values) { wrong |= not_finite(values); });
    if (!any(wrong)) return;
    for (std::size_t i = 0; i < numbers.size(); ++i)
        if (!std::isfinite(numbers[i]))
            fail(ErrorKind::parameter, {"detection: number ", i % 4, " of box ", i / 4, " is ", numbers[i],
                                        ", boxes must be finite"});
}

/// Load one of the four numbers of each of several boxes.
Float4 load_of_boxes(const float *numbers, std::size_t count) {
    Float4 result{};
    for (std::size_t i = 0; i < lanes && i < count; ++i) result[i] = numbers[4 * i];
    return result;
}

struct AxisAnchors {
    const std::vector<float> &centers, &sizes;
};

/// Decode one axis of all boxes, 0 for x and 1 for y. `codes` points to the first box's code of the centre;
/// the code of the size is two numbers later.
void decode_axis(const float *codes, const BoxCoding &coding, std::size_t axis, const AxisAnchors &anchors,
                 std::vector<float> &low, std::vector<float> &high) {
    const float center_variance = coding.variances[axis], size_variance = coding.variances[axis + 2];
    const std::size_t size = anchors.centers.size();
    for (std::size_t i = 0; i < size; i += lanes) {
        const std::size_t count = size - i;
        const Float4 anchor_size = load_partial(anchors.sizes.data() + i, count, 0.0f);
        const Float4 anchor_center = load_partial(anchors.centers.data() + i, count, 0.0f);
        const Float4 log_size = load_of_boxes(codes + 4 * i + 2, count) * size_variance;
        const Float4 half = exponential(minimum(log_size, splat(coding.max_log_size))) * anchor_size * 0.5f;
        const Float4 center =
            load_of_boxes(codes + 4 * i, count) * center_variance * anchor_size + anchor_center;
        store_partial(low.data() + i, center - half, count);
        store_partial(high.data() + i, center + half, count);
    }
}

} // namespace

void Boxes::resize(std::size_t count) {
    for (auto *edge : {&left, &top, &right, &bottom}) edge->resize(count);
}

void Boxes::set(std::size_t index, const Box &box) {
    left[index] = box.left;
    top[index] = box.top;
    right[index] = box.right;
    bottom[index] = box.bottom;
}

void Anchors::add(double center_x, double center_y, double box_width, double box_height) {
    x.push_back(static_cast<float>(center_x));
    y.push_back(static_cast<float>(center_y));
    width.push_back(static_cast<float>(box_width));
    height.push_back(static_cast<float>(box_height));
}

void check(const BoxCoding &coding) {
    for (const float variance : coding.variances)
        if (!(variance > 0.0f) || !std::isfinite(variance))
            fail(ErrorKind::parameter,
                 {"detection: a variance is ", variance, ", expected a finite number above 0"});
    if (!(coding.max_log_size > 0.0f && coding.max_log_size <= largest_log_size))
        fail(ErrorKind::parameter, {"detection: max_log_size is ", coding.max_log_size,
                                    ", expected a number above 0 and at most ", largest_log_size});
}

void decode_boxes(std::span<const float> codes, const Anchors &anchors, const BoxCoding &coding,
                  Boxes &boxes) {
    if (codes.size() != 4 * anchors.size())
        fail(ErrorKind::shape, {"detection: ", codes.size(), " numbers of boxes for ", anchors.size(),
                                " anchors, expected four for each"});
    check_finite(codes);
    boxes.resize(anchors.size());
    const std::size_t x = coding.y_first ? 1 : 0;
    decode_axis(codes.data() + x, coding, 0, {anchors.x, anchors.width}, boxes.left, boxes.right);
    decode_axis(codes.data() + 1 - x, coding, 1, {anchors.y, anchors.height}, boxes.top, boxes.bottom);
}

void read_edges(std::span<const float> edges, bool y_first, Boxes &boxes) {
    if (edges.size() % 4 != 0)
        fail(ErrorKind::shape, {"detection: ", edges.size(), " numbers of boxes, expected four for each"});
    check_finite(edges);
    boxes.resize(edges.size() / 4);
    for (std::size_t i = 0; i < boxes.size(); ++i) {
        const float *const box = edges.data() + 4 * i;
        boxes.set(i, y_first ? Box{box[1], box[0], box[3], box[2]} : Box{box[0], box[1], box[2], box[3]});
    }
}

void clip_boxes(Boxes &boxes) {
    for (auto *edges : {&boxes.left, &boxes.top, &boxes.right, &boxes.bottom})
        for (float &edge : *edges) edge = std::clamp(edge, 0.0f, 1.0f);
}

} // namespace mpscnn::vision
