#include "vision/preprocess_json.h"

#include <array>
#include <cstddef>
#include <string>
#include <vector>

namespace mpscnn::vision {

namespace {

/// In the order of the enumerators.
constexpr std::array fit_names{"stretch", "center_crop", "letterbox", "digit"};
constexpr std::array filter_names{"bilinear_antialias", "bilinear", "nearest"};
constexpr std::array order_names{"rgb", "bgr", "gray"};

template <class Names, class Enum> Json name_of(const Names &names, Enum value) {
    return names[static_cast<std::size_t>(value)];
}

template <class Names, class Enum> void read_name(const JsonView &value, const Names &names, Enum &result) {
    const auto given = value.get<std::string>();
    std::string allowed;
    for (std::size_t i = 0; i < names.size(); ++i) {
        if (given == names[i]) {
            result = static_cast<Enum>(i);
            return;
        }
        allowed += (i == 0 ? "" : ", ") + std::string(names[i]);
    }
    value.refuse(quoted(given) + " is not one of " + allowed);
}

Json to_array(const std::array<float, 3> &values, int channels) {
    Json result = Json::array();
    for (std::size_t i = 0; i < static_cast<std::size_t>(channels); ++i) result.push_back(values[i]);
    return result;
}

void read_array(const JsonView &value, int channels, std::array<float, 3> &result) {
    if (value.size() != static_cast<std::size_t>(channels))
        value.refuse("has " + std::to_string(value.size()) + " numbers, the channel order needs " +
                     std::to_string(channels));
    for (std::size_t i = 0; i < value.size(); ++i) result[i] = value.at(i).get<float>();
}

/// Runs `action`, which knows nothing of the JSON, and lets its errors name the place there.
template <class Action> auto located(const JsonView &json, Action action) {
    try {
        return action();
    } catch (const Error &error) {
        json.refuse(error.what());
    }
}

Preprocess read_fields(const JsonView &json) {
    json.allow_only({"fit", "crop_fraction", "filter", "order", "mean", "scale", "letterbox_value"});
    Preprocess options;
    if (json.has("fit")) read_name(json.at("fit"), fit_names, options.fit);
    if (json.has("crop_fraction")) options.crop_fraction = json.at("crop_fraction").get<double>();
    if (json.has("filter")) read_name(json.at("filter"), filter_names, options.filter);
    if (json.has("order")) read_name(json.at("order"), order_names, options.order);
    if (json.has("mean")) read_array(json.at("mean"), options.channels(), options.mean);
    if (json.has("scale")) read_array(json.at("scale"), options.channels(), options.scale);
    if (json.has("letterbox_value")) options.letterbox_value = json.at("letterbox_value").get<float>();
    located(json, [&] { check(options); });
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
    return json;
}

Preprocess preprocess_from_json(const JsonView &json, int channels) {
    const bool preset = json.value().get_if<std::string>() != nullptr;
    if (!preset) return read_fields(json);
    return located(json, [&] { return Preprocess::named(json.get<std::string>(), channels); });
}

} // namespace mpscnn::vision
