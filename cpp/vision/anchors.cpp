#include "vision/anchors.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>

#include "core/error.h"

namespace mpscnn::vision {

namespace {

constexpr std::int64_t max_anchors = 1'000'000;
constexpr int largest_stride = 65536, largest_side = 1 << 20;

/// The width and height of a box as fractions of the network's input.
using Shape = std::array<double, 2>;

[[noreturn]] void refuse(const std::string &message) {
    fail(ErrorKind::parameter, {"detection: anchors: ", message});
}

void require_positive(double value, const char *name) {
    if (!(value > 0.0) || !std::isfinite(value))
        refuse(concat({name, " is ", value, ", expected a finite number above 0"}));
}

void check_strides(const std::vector<int> &strides) {
    if (strides.empty()) refuse("there is no feature map: 'strides' is empty");
    for (const int stride : strides)
        if (stride < 1 || stride > largest_stride)
            refuse(concat({"a stride is ", stride, ", expected 1..", largest_stride}));
}

void check_rule(const ScaleAnchors &rule) {
    check_strides(rule.strides);
    require_positive(rule.min_scale, "min_scale");
    require_positive(rule.max_scale, "max_scale");
    for (const double ratio : rule.aspect_ratios) require_positive(ratio, "an aspect ratio");
    if (rule.interpolated_ratio != 0.0) require_positive(rule.interpolated_ratio, "interpolated_ratio");
    if (rule.aspect_ratios.empty() && rule.interpolated_ratio == 0.0) refuse("there are no aspect ratios");
}

void check_rule(const SizeAnchors &rule) {
    check_strides(rule.strides);
    if (rule.sizes.size() != rule.strides.size())
        refuse(
            concat({"sizes of ", rule.sizes.size(), " feature maps for ", rule.strides.size(), " strides"}));
    for (const auto &map : rule.sizes) {
        if (map.empty()) refuse("a feature map has no sizes");
        for (const auto &[width, height] : map) {
            require_positive(width, "a width");
            require_positive(height, "a height");
        }
    }
}

void check_rule(const StoredAnchors &) {}
void check_rule(const NoAnchors &) {}

/// Add one anchor for each shape at each cell of a feature map. `step_x` and `step_y` are the distances
/// between cells.
void add_map(Anchors &anchors, int rows, int columns, double step_y, double step_x,
             const std::vector<Shape> &shapes) {
    const std::int64_t added = std::int64_t{rows} * columns * static_cast<std::int64_t>(shapes.size());
    if (added > max_anchors - static_cast<std::int64_t>(anchors.size()))
        refuse(concat({"more than ", max_anchors, " for this input"}));
    for (int row = 0; row < rows; ++row)
        for (int column = 0; column < columns; ++column)
            for (const auto &[width, height] : shapes)
                anchors.add((column + 0.5) * step_x, (row + 0.5) * step_y, width, height);
}

Shape scaled(double scale, double ratio, double unit_width, double unit_height) {
    return {scale * std::sqrt(ratio) * unit_width, scale / std::sqrt(ratio) * unit_height};
}

Anchors make(const ScaleAnchors &rule, int height, int width, const Anchors &) {
    const double shorter = std::min(height, width), unit_width = shorter / width,
                 unit_height = shorter / height;
    const std::size_t maps = rule.strides.size();
    const auto scale = [&](std::size_t map) {
        if (map == maps) return 1.0;
        const double share = maps == 1 ? 0.0 : static_cast<double>(map) / static_cast<double>(maps - 1);
        return rule.min_scale + (rule.max_scale - rule.min_scale) * share;
    };
    Anchors anchors;
    for (std::size_t map = 0; map < maps; ++map) {
        std::vector<Shape> shapes;
        const auto add = [&](double size, double ratio) {
            shapes.push_back(scaled(size, ratio, unit_width, unit_height));
        };
        if (map == 0 && rule.reduce_lowest) {
            add(0.1, 1.0);
            add(scale(0), 2.0);
            add(scale(0), 0.5);
        } else {
            for (const double ratio : rule.aspect_ratios) add(scale(map), ratio);
            if (rule.interpolated_ratio != 0.0)
                add(std::sqrt(scale(map) * scale(map + 1)), rule.interpolated_ratio);
        }
        const int rows = cells(height, rule.strides[map]), columns = cells(width, rule.strides[map]);
        add_map(anchors, rows, columns, 1.0 / rows, 1.0 / columns, shapes);
    }
    return anchors;
}

void clip_to_unit(std::vector<float> &values) {
    for (float &value : values) value = std::clamp(value, 0.0f, 1.0f);
}

Anchors make(const SizeAnchors &rule, int height, int width, const Anchors &) {
    Anchors anchors;
    for (std::size_t map = 0; map < rule.strides.size(); ++map) {
        std::vector<Shape> shapes;
        for (const auto &[box_width, box_height] : rule.sizes[map])
            shapes.push_back({box_width / width, box_height / height});
        const int stride = rule.strides[map];
        const int rows = cells(height, stride), columns = cells(width, stride);
        const bool by_stride = rule.centers == CenterRule::stride;
        add_map(anchors, rows, columns, by_stride ? static_cast<double>(stride) / height : 1.0 / rows,
                by_stride ? static_cast<double>(stride) / width : 1.0 / columns, shapes);
    }
    if (rule.clip)
        for (auto *values : {&anchors.x, &anchors.y, &anchors.width, &anchors.height}) clip_to_unit(*values);
    return anchors;
}

Anchors make(const StoredAnchors &, int, int, const Anchors &stored) {
    if (stored.size() == 0) refuse("the rule is 'stored', but none are stored");
    if (static_cast<std::int64_t>(stored.size()) > max_anchors)
        refuse(concat({"more than ", max_anchors, " are stored"}));
    for (std::size_t i = 0; i < stored.size(); ++i)
        for (const float value : {stored.x[i], stored.y[i], stored.width[i], stored.height[i]})
            if (!std::isfinite(value)) refuse(concat({"stored anchor ", i, " is not finite"}));
    return stored;
}

Anchors make(const NoAnchors &, int, int, const Anchors &) { return {}; }

} // namespace

void check(const AnchorRule &rule) {
    std::visit([](const auto &alternative) { check_rule(alternative); }, rule);
}

Anchors make_anchors(const AnchorRule &rule, int input_height, int input_width, const Anchors &stored) {
    check(rule);
    if (input_height < 1 || input_width < 1 || input_height > largest_side || input_width > largest_side)
        refuse(concat({"the input's height x width is ", input_height, "x", input_width, ", each must be 1..",
                       largest_side}));
    return std::visit(
        [&](const auto &alternative) { return make(alternative, input_height, input_width, stored); }, rule);
}

} // namespace mpscnn::vision
