#include "vision/detection_json.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <tuple>
#include <variant>

#include "core/text.h"
#include "vision/json_fields.h"

namespace mpscnn::vision {

namespace {

constexpr std::int64_t newest_version = 1;

/// Names in the order of the enumerators, and of AnchorRule's alternatives.
constexpr std::array rule_names{"scales", "sizes", "stored", "none"};
constexpr std::array center_names{"stride", "grid"};
constexpr std::array axis_order_names{"xy", "yx"};
constexpr std::array kind_names{"probability", "sigmoid", "softmax"};
constexpr std::array method_names{"hard", "linear", "gaussian"};

void fields(auto &visit, ScaleAnchors &rule) {
    visit("strides", rule.strides);
    visit("min_scale", rule.min_scale);
    visit("max_scale", rule.max_scale);
    visit("aspect_ratios", rule.aspect_ratios);
    visit("reduce_lowest", rule.reduce_lowest);
    visit("interpolated_ratio", rule.interpolated_ratio);
}

void fields(auto &visit, SizeAnchors &rule) {
    visit.required("strides", rule.strides);
    visit.required("sizes", rule.sizes);
    visit("centers", Named{rule.centers, center_names});
    visit("clip", rule.clip);
}

void fields(auto &, StoredAnchors &) {}
void fields(auto &, NoAnchors &) {}

/// Visit the fields of an anchor rule. The field "rule" selects AnchorRule's alternative.
void fields(auto &visit, AnchorRule &rule) {
    std::size_t index = rule.index();
    visit.required("rule", Named{index, rule_names});
    if (index != rule.index()) {
        constexpr std::array<AnchorRule (*)(), rule_names.size()> make{
            [] { return AnchorRule(ScaleAnchors{}); }, [] { return AnchorRule(SizeAnchors{}); },
            [] { return AnchorRule(StoredAnchors{}); }, [] { return AnchorRule(NoAnchors{}); }};
        rule = make[index]();
    }
    std::visit([&](auto &alternative) { fields(visit, alternative); }, rule);
}

struct BoxSettings {
    DetectionHead &head;
};

void fields(auto &visit, BoxSettings &settings) {
    visit("output", settings.head.boxes_output);
    visit("order", Named{settings.head.coding.y_first, axis_order_names});
    visit("variances", settings.head.coding.variances);
    visit("max_log_size", settings.head.coding.max_log_size);
    visit("clip", settings.head.coding.clip);
    visit("levels", settings.head.levels);
}

struct ScoreSettings {
    DetectionHead &head;
};

void fields(auto &visit, ScoreSettings &settings) {
    visit("output", settings.head.scores_output);
    visit("kind", Named{settings.head.score_kind, kind_names});
    visit("background", settings.head.background);
}

/// The outputs of networks that compute more of an object than its box. Each object in JSON names them all.
struct AngleSettings {
    DetectionHead &head;
};
struct KeypointSettings {
    DetectionHead &head;
};
struct MaskSettings {
    DetectionHead &head;
};

void fields(auto &visit, AngleSettings &settings) { visit.required("output", settings.head.angles_output); }
void fields(auto &visit, KeypointSettings &settings) {
    visit.required("output", settings.head.keypoints_output);
}
void fields(auto &visit, MaskSettings &settings) {
    visit.required("coefficients", settings.head.coefficients_output);
    visit.required("prototypes", settings.head.prototypes_output);
}

void fields(auto &visit, Suppression &settings) {
    visit("method", Named{settings.method, method_names});
    visit("per_class", settings.per_class);
    visit("iou_threshold", settings.iou_threshold);
    visit("sigma", settings.sigma);
    visit("score_threshold", settings.score_threshold);
    visit("max_candidates", settings.max_candidates);
    visit("max_per_level", settings.max_per_level);
    visit("max_per_class", settings.max_per_class);
    visit("max_detections", settings.max_detections);
    visit("classes_per_box", settings.classes_per_box);
}

template <class Settings> Json written(Settings settings) {
    FieldWriter writer;
    fields(writer, settings);
    return writer.take();
}

template <class Settings> void read(const JsonView &json, Settings &&settings) {
    FieldReader reader(json);
    fields(reader, settings);
    reader.finish();
}

} // namespace

Json to_json(const DetectionHead &checked) {
    check(checked);
    DetectionHead head = checked;
    Json json = Json::object();
    json.set("version", newest_version);
    json.set("boxes", written(BoxSettings{head}));
    json.set("scores", written(ScoreSettings{head}));
    json.set("anchors", written(head.anchors));
    json.set("suppression", written(head.suppression));
    if (!head.angles_output.empty()) json.set("angles", written(AngleSettings{head}));
    if (!head.keypoints_output.empty()) json.set("keypoints", written(KeypointSettings{head}));
    if (!head.coefficients_output.empty()) json.set("masks", written(MaskSettings{head}));
    return json;
}

DetectionHead detection_from_json(const JsonView &json) {
    if (const auto version = json.at("version").get<std::int64_t>(); version != newest_version)
        json.at("version").refuse(concat({"is ", version, "; this mpscnn reads version ", newest_version}));
    json.allow_only({"version", "boxes", "scores", "anchors", "suppression", "angles", "keypoints", "masks"});
    DetectionHead head;
    read(json.at("anchors"), head.anchors);
    if (json.has("boxes")) read(json.at("boxes"), BoxSettings{head});
    if (json.has("scores")) read(json.at("scores"), ScoreSettings{head});
    if (json.has("suppression")) read(json.at("suppression"), head.suppression);
    if (json.has("angles")) read(json.at("angles"), AngleSettings{head});
    if (json.has("keypoints")) read(json.at("keypoints"), KeypointSettings{head});
    if (json.has("masks")) read(json.at("masks"), MaskSettings{head});
    for (const auto &[part, key, output] : {std::tuple("angles", "output", &head.angles_output),
                                            std::tuple("keypoints", "output", &head.keypoints_output),
                                            std::tuple("masks", "coefficients", &head.coefficients_output),
                                            std::tuple("masks", "prototypes", &head.prototypes_output)})
        if (json.has(part) && output->empty()) json.at(part).at(key).refuse("names no output");
    located(json, "detection: ", [&] { check(head); });
    return head;
}

} // namespace mpscnn::vision
