#include "vision/preprocess_json.h"

#include <array>
#include <cstddef>
#include <string>

#include "vision/json_fields.h"

namespace mpscnn::vision {

namespace {

/// In the order of the enumerators.
constexpr std::array fit_names{"stretch", "center_crop", "letterbox", "digit"};
constexpr std::array filter_names{"bilinear_antialias", "bilinear", "nearest"};
constexpr std::array order_names{"rgb", "bgr", "gray"};
constexpr std::array position_names{"center", "top_left"};

Json to_array(const std::array<float, 3> &values, int channels) {
    Json result = Json::array();
    for (std::size_t i = 0; i < static_cast<std::size_t>(channels); ++i) result.push_back(values[i]);
    return result;
}

void read_array(const JsonView &value, int channels, std::array<float, 3> &result) {
    const std::size_t count = value.array().size();
    if (count != static_cast<std::size_t>(channels))
        value.refuse("has " + std::to_string(count) + " numbers, the channel order needs " +
                     std::to_string(channels));
    for (std::size_t i = 0; i < count; ++i) result[i] = value.at(i).get<float>();
}

Preprocess read_fields(const JsonView &json) {
    json.allow_only({"fit", "crop_fraction", "filter", "order", "mean", "scale", "letterbox_value",
                     "letterbox_position"});
    Preprocess options;
    if (json.has("fit")) read_name(json.at("fit"), fit_names, options.fit);
    read_optional(json, "crop_fraction", options.crop_fraction);
    if (json.has("filter")) read_name(json.at("filter"), filter_names, options.filter);
    if (json.has("order")) read_name(json.at("order"), order_names, options.order);
    if (json.has("mean")) read_array(json.at("mean"), options.channels(), options.mean);
    if (json.has("scale")) read_array(json.at("scale"), options.channels(), options.scale);
    read_optional(json, "letterbox_value", options.letterbox_value);
    if (json.has("letterbox_position"))
        read_name(json.at("letterbox_position"), position_names, options.letterbox_position);
    located(json, "preprocess: ", [&] { check(options); });
    return options;
}

} // namespace

Json to_json(const Preprocess &options) {
    check(options);
    Json json = Json::object();
    json.set("fit", name_of(fit_names, options.fit));
    json.set("crop_fraction", options.crop_fraction);
    json.set("filter", name_of(filter_names, options.filter));
    json.set("order", name_of(order_names, options.order));
    json.set("mean", to_array(options.mean, options.channels()));
    json.set("scale", to_array(options.scale, options.channels()));
    json.set("letterbox_value", options.letterbox_value);
    json.set("letterbox_position", name_of(position_names, options.letterbox_position));
    return json;
}

Preprocess preprocess_from_json(const JsonView &json, int channels) {
    const bool preset = json.value().get_if<std::string>() != nullptr;
    if (!preset) return read_fields(json);
    return located(json,
                   "preprocess: ", [&] { return Preprocess::named(json.get<std::string>(), channels); });
}

} // namespace mpscnn::vision
