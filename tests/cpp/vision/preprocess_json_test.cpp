// Tests reading and writing the preprocessing settings of a model file as JSON.

#include "vision/preprocess_json.h"

#include <array>
#include <string>

#include "tests/cpp/check.h"

using mpscnn::ErrorKind;
using mpscnn::Json;
using mpscnn::JsonView;
using namespace mpscnn::vision;

namespace {

Preprocess read(const std::string &text, int channels = 3) {
    const Json json = mpscnn::parse_json(text);
    return preprocess_from_json(JsonView(json, "mpscnn.preprocess", ErrorKind::weights), channels);
}

Preprocess written_and_read(const Preprocess &options) { return read(mpscnn::to_text(to_json(options))); }

} // namespace

TEST(every_field_comes_back) {
    for (const char *name : {"tensorflow", "caffe", "torch", "torchvision", "unit", "none"}) {
        Preprocess options = Preprocess::named(name);
        CHECK(written_and_read(options) == options);
        options.whole_pixels = false;
        options.crop_fraction = 0.875;
        options.letterbox_value = {114.5f, 1.0f, 2.0f};
        for (const Fit fit : {Fit::stretch, Fit::center_crop, Fit::letterbox})
            for (const Filter filter : {Filter::bilinear_antialias, Filter::bilinear, Filter::nearest,
                                        Filter::bicubic_antialias, Filter::bicubic}) {
                options.fit = fit;
                if (fit == Fit::letterbox) options.letterbox_position = LetterboxPosition::top_left;
                options.filter = filter;
                CHECK(written_and_read(options) == options);
            }
    }
    Preprocess gray;
    gray.order = ChannelOrder::gray;
    gray.mean[0] = 33.318f;
    gray.scale[0] = 0.1f;
    CHECK(written_and_read(gray) == gray);
    CHECK(written_and_read(Preprocess::named("mnist", 1)) == Preprocess::named("mnist", 1));
    CHECK(read(R"({"fit": "digit", "order": "gray"})", 1).fit == Fit::digit);
}

TEST(the_text_is_stable) {
    CHECK(mpscnn::to_text(to_json({})) ==
          R"({"fit":"stretch","crop_fraction":1.0,"whole_pixels":false,"filter":"bilinear_antialias",)"
          R"("order":"rgb",)"
          R"("mean":[0.0,0.0,0.0],"scale":[1.0,1.0,1.0],"letterbox_value":0.0,)"
          R"("letterbox_position":"center"})");
}

TEST(absent_keys_mean_defaults) {
    CHECK(read("{}") == Preprocess{});
    CHECK(read(R"({"fit": "letterbox"})").fit == Fit::letterbox);
    CHECK(read(R"({"letterbox_value": 7})").letterbox_value == std::array{7.0f, 7.0f, 7.0f});
    CHECK(read(R"({"letterbox_value": [7, 8, 9]})").letterbox_value == std::array{7.0f, 8.0f, 9.0f});
}

TEST(one_number_is_that_of_all_channels) {
    CHECK(read(R"({"scale": 0.017})").scale == std::array{0.017f, 0.017f, 0.017f});
    CHECK(read(R"({"mean": 127})") == read(R"({"mean": [127, 127, 127]})"));
    CHECK(read(R"({"order": "gray", "scale": 2})", 1) == read(R"({"order": "gray", "scale": [2]})", 1));
    CHECK(mpscnn::to_text(to_json(read(R"({"scale": 2})"))).find(R"("scale":[2.0,2.0,2.0])") !=
          std::string::npos);
}

TEST(a_string_is_a_preset) {
    CHECK(read(R"("torch")") == Preprocess::named("torch"));
    CHECK(read(R"("unit")", 1) == Preprocess::named("unit", 1));
    CHECK_THROWS(read(R"("imagenet")"), ErrorKind::weights, "mpscnn.preprocess");
}

TEST(anything_else_is_refused_with_its_place) {
    const auto refused = [](const char *text, const char *part) {
        CHECK_THROWS(read(text), ErrorKind::weights, part);
        CHECK_THROWS(read(text), ErrorKind::weights, "mpscnn.preprocess");
    };
    refused("[]", "an object");
    refused(R"({"crop": 1})", "crop");
    refused(R"({"fit": "squeeze"})", "stretch, center_crop, letterbox");
    refused(R"({"filter": 1})", "filter");
    refused(R"({"order": "RGB"})", "rgb, bgr, gray");
    refused(R"({"crop_fraction": 2})", "at most 1");
    refused(R"({"mean": [1, 2]})", "2 numbers");
    refused(R"({"order": "gray", "scale": [1, 2, 3]})", "3 numbers");
    refused(R"({"mean": {"a": 1, "b": 2, "c": 3}})", "a number");
    refused(R"({"scale": [1, 2, 1e40]})", "scale");
    refused(R"({"letterbox_value": [1, 2]})", "2 numbers");
    refused(R"({"whole_pixels": 1})", "whole_pixels");
    refused(R"({"whole_pixels": true, "fit": "digit", "order": "gray"})", "whole_pixels");
}

TEST(invalid_options_are_not_written) {
    Preprocess options;
    options.crop_fraction = -1;
    CHECK_THROWS(to_json(options), ErrorKind::parameter, "crop_fraction");
}
