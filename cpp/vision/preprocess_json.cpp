#include "vision/preprocess_json.h"

#include <array>
#include <cstddef>
#include <string>

#include "vision/json_fields.h"

namespace mpscnn::vision {

namespace {

/// Names in the order of the enumerators.
constexpr std::array fit_names{"stretch", "center_crop", "letterbox", "digit"};
constexpr std::array filter_names{"bilinear_antialias", "bilinear", "nearest", "bicubic_antialias",
                                  "bicubic"};
constexpr std::array channel_order_names{"rgb", "bgr", "gray"};
constexpr std::array position_names{"center", "top_left"};

void fields(auto &visit, Preprocess &options) {
    visit("fit", Named{options.fit, fit_names});
    visit("crop_fraction", options.crop_fraction);
    visit("whole_pixels", options.whole_pixels);
    visit("filter", Named{options.filter, filter_names});
    // The order comes before mean and scale, because it determines their number.
    visit("order", Named{options.order, channel_order_names});
    const auto channels = static_cast<std::size_t>(options.channels());
    visit("mean", EachOrOne{options.mean, channels});
    visit("scale", EachOrOne{options.scale, channels});
    visit("letterbox_value", OneOrEach{options.letterbox_value, channels});
    visit("letterbox_position", Named{options.letterbox_position, position_names});
}

Preprocess read_fields(const JsonView &json) {
    Preprocess options;
    FieldReader reader(json);
    fields(reader, options);
    reader.finish();
    located(json, "preprocess: ", [&] { check(options); });
    return options;
}

} // namespace

Json to_json(const Preprocess &checked) {
    check(checked);
    Preprocess options = checked;
    FieldWriter writer;
    fields(writer, options);
    return writer.take();
}

Preprocess preprocess_from_json(const JsonView &json, int channels) {
    const bool preset = json.value().get_if<std::string>() != nullptr;
    if (!preset) return read_fields(json);
    return located(json,
                   "preprocess: ", [&] { return Preprocess::named(json.get<std::string>(), channels); });
}

} // namespace mpscnn::vision
