#include "vision/detection_json.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

#include "vision/json_fields.h"

namespace mpscnn::vision {

namespace {

constexpr std::int64_t newest_version = 1;

/// In the order of the enumerators, and of AnchorRule's alternatives.
constexpr std::array rule_names{"scales", "sizes", "stored", "none"};
constexpr std::array center_names{"stride", "grid"};
constexpr std::array order_names{"yx", "xy"};
constexpr std::array kind_names{"probability", "sigmoid", "softmax"};
constexpr std::array method_names{"hard", "linear", "gaussian"};

enum class Rule { scales, sizes, stored, none };
enum class NumberOrder { yx, xy };

template <class Number, std::size_t size>
void read_numbers(const JsonView &value, std::array<Number, size> &result) {
    if (value.size() != size)
        value.refuse("has " + std::to_string(value.size()) + " numbers, expected " + std::to_string(size));
    for (std::size_t i = 0; i < size; ++i) result[i] = value.at(i).get<Number>();
}

// ---- Anchors
// -------------------------------------------------------------------------------------------------

void add_fields(Json &json, const ScaleAnchors &rule) {
    json.set("strides", rule.strides);
    json.set("min_scale", rule.min_scale);
    json.set("max_scale", rule.max_scale);
    json.set("aspect_ratios", rule.aspect_ratios);
    json.set("reduce_lowest", rule.reduce_lowest);
    json.set("interpolated_ratio", rule.interpolated_ratio);
}

void add_fields(Json &json, const SizeAnchors &rule) {
    json.set("strides", rule.strides);
    Json maps = Json::array();
    for (const auto &map : rule.sizes) {
        Json shapes = Json::array();
        for (const auto &[width, height] : map) shapes.push_back(Json(Json::Array{width, height}));
        maps.push_back(std::move(shapes));
    }
    json.set("sizes", std::move(maps));
    json.set("centers", name_of(center_names, rule.centers));
    json.set("clip", rule.clip);
}

void add_fields(Json &, const StoredAnchors &) {}
void add_fields(Json &, const NoAnchors &) {}

ScaleAnchors read_scales(const JsonView &json) {
    json.allow_only({"rule", "strides", "min_scale", "max_scale", "aspect_ratios", "reduce_lowest",
                     "interpolated_ratio"});
    ScaleAnchors rule;
    read_optional(json, "strides", rule.strides);
    read_optional(json, "min_scale", rule.min_scale);
    read_optional(json, "max_scale", rule.max_scale);
    read_optional(json, "aspect_ratios", rule.aspect_ratios);
    read_optional(json, "reduce_lowest", rule.reduce_lowest);
    read_optional(json, "interpolated_ratio", rule.interpolated_ratio);
    return rule;
}

SizeAnchors read_sizes(const JsonView &json) {
    json.allow_only({"rule", "strides", "sizes", "centers", "clip"});
    SizeAnchors rule;
    rule.strides = json.at("strides").get<std::vector<int>>();
    const JsonView maps = json.at("sizes");
    for (std::size_t map = 0; map < maps.size(); ++map) {
        const JsonView shapes = maps.at(map);
        rule.sizes.emplace_back(shapes.size());
        for (std::size_t i = 0; i < shapes.size(); ++i) read_numbers(shapes.at(i), rule.sizes.back()[i]);
    }
    if (json.has("centers")) read_name(json.at("centers"), center_names, rule.centers);
    read_optional(json, "clip", rule.clip);
    return rule;
}

AnchorRule read_anchors(const JsonView &json) {
    Rule rule{};
    read_name(json.at("rule"), rule_names, rule);
    if (rule == Rule::scales) return read_scales(json);
    if (rule == Rule::sizes) return read_sizes(json);
    json.allow_only({"rule"});
    if (rule == Rule::stored) return StoredAnchors{};
    return NoAnchors{};
}

// ---- The rest
// ------------------------------------------------------------------------------------------------

void read_boxes(const JsonView &json, DetectionHead &head) {
    json.allow_only({"output", "order", "variances"});
    read_optional(json, "output", head.boxes_output);
    if (json.has("order")) {
        NumberOrder order{};
        read_name(json.at("order"), order_names, order);
        head.coding.y_first = order == NumberOrder::yx;
    }
    if (json.has("variances")) read_numbers(json.at("variances"), head.coding.variances);
}

void read_scores(const JsonView &json, DetectionHead &head) {
    json.allow_only({"output", "kind", "background"});
    read_optional(json, "output", head.scores_output);
    if (json.has("kind")) read_name(json.at("kind"), kind_names, head.score_kind);
    read_optional(json, "background", head.background);
}

void read_suppression(const JsonView &json, Suppression &settings) {
    json.allow_only({"method", "per_class", "iou_threshold", "sigma", "score_threshold", "max_candidates",
                     "max_per_class", "max_detections", "classes_per_box"});
    if (json.has("method")) read_name(json.at("method"), method_names, settings.method);
    read_optional(json, "per_class", settings.per_class);
    read_optional(json, "iou_threshold", settings.iou_threshold);
    read_optional(json, "sigma", settings.sigma);
    read_optional(json, "score_threshold", settings.score_threshold);
    read_optional(json, "max_candidates", settings.max_candidates);
    read_optional(json, "max_per_class", settings.max_per_class);
    read_optional(json, "max_detections", settings.max_detections);
    read_optional(json, "classes_per_box", settings.classes_per_box);
}

Json boxes_json(const DetectionHead &head) {
    Json json = Json::object();
    json.set("output", head.boxes_output);
    json.set("order", name_of(order_names, head.coding.y_first ? NumberOrder::yx : NumberOrder::xy));
    json.set("variances", Json::Array(head.coding.variances.begin(), head.coding.variances.end()));
    return json;
}

Json scores_json(const DetectionHead &head) {
    Json json = Json::object();
    json.set("output", head.scores_output);
    json.set("kind", name_of(kind_names, head.score_kind));
    json.set("background", head.background);
    return json;
}

Json anchors_json(const AnchorRule &rule) {
    Json json = Json::object();
    json.set("rule", rule_names[rule.index()]);
    std::visit([&](const auto &alternative) { add_fields(json, alternative); }, rule);
    return json;
}

Json suppression_json(const Suppression &settings) {
    Json json = Json::object();
    json.set("method", name_of(method_names, settings.method));
    json.set("per_class", settings.per_class);
    json.set("iou_threshold", settings.iou_threshold);
    json.set("sigma", settings.sigma);
    json.set("score_threshold", settings.score_threshold);
    json.set("max_candidates", settings.max_candidates);
    json.set("max_per_class", settings.max_per_class);
    json.set("max_detections", settings.max_detections);
    json.set("classes_per_box", settings.classes_per_box);
    return json;
}

} // namespace

Json to_json(const DetectionHead &head) {
    check(head);
    Json json = Json::object();
    json.set("version", newest_version);
    json.set("boxes", boxes_json(head));
    json.set("scores", scores_json(head));
    json.set("anchors", anchors_json(head.anchors));
    json.set("suppression", suppression_json(head.suppression));
    return json;
}

DetectionHead detection_from_json(const JsonView &json) {
    if (const auto version = json.at("version").get<std::int64_t>(); version != newest_version)
        json.at("version").refuse("is " + std::to_string(version) + "; this mpscnn reads version " +
                                  std::to_string(newest_version));
    json.allow_only({"version", "boxes", "scores", "anchors", "suppression"});
    DetectionHead head;
    head.anchors = read_anchors(json.at("anchors"));
    if (json.has("boxes")) read_boxes(json.at("boxes"), head);
    if (json.has("scores")) read_scores(json.at("scores"), head);
    if (json.has("suppression")) read_suppression(json.at("suppression"), head.suppression);
    located(json, "detection: ", [&] { check(head); });
    return head;
}

} // namespace mpscnn::vision
