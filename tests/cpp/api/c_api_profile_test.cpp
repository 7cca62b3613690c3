// The C interface: the times of steps.

#include <string>
#include <vector>

#include "core/json.h"
#include "tests/cpp/c_api.h"

using namespace c_api_test;
using mpscnn::Json;
using mpscnn::parse_json;

namespace {

/// A session of the classifier with memory for one image.
struct Classifier {
    std::vector<float> image = std::vector<float>(std::size_t{side} * side * 3, 0.5f);
    std::vector<float> logits = std::vector<float>(classes);
    mpscnn_tensor input = floats(image.data(), {1, side, side, 3});
    mpscnn_tensor output = floats(logits.data(), {1, classes});
    mpscnn_program *program = classifier_program();
    mpscnn_session *session = session_of(program);

    Classifier() = default;
    Classifier(const Classifier &) = delete;
    Classifier &operator=(const Classifier &) = delete;
    ~Classifier() {
        mpscnn_session_release(session);
        mpscnn_program_release(program);
    }

    mpscnn_status profile(const mpscnn_profile_options *options, mpscnn_text **json, mpscnn_text **trace) {
        return mpscnn_session_profile(session, &input, 1, &output, 1, options, json, trace);
    }
};

} // namespace

TEST(profile_has_every_layer_and_run) {
    Classifier classifier;
    mpscnn_profile_options options{};
    options.size = sizeof options;
    options.runs = 4;
    mpscnn_text *json = nullptr, *trace = nullptr;
    CHECK(succeeded(classifier.profile(&options, &json, &trace)));
    CHECK(classifier.logits[0] == 5.0f); // the outputs are written
    const Json profile = parse_json(taken(json)), events = parse_json(taken(trace));
    CHECK(profile.at("network").get<std::string>() == "tiny");
    CHECK(profile.at("device").get<std::string>() == "cpu");
    CHECK(profile.at("threads").get<int>() == 1);
    CHECK(profile.at("peak_flops_per_second").at("one_thread").get<double>() > 1e6);
    CHECK(profile.at("milliseconds").get<std::vector<double>>().size() == 4);
    const auto steps = *profile.at("steps").get_if<Json::Array>();
    CHECK(steps.size() == 2);
    CHECK(steps[0].at("layers").get<std::vector<std::string>>() == std::vector<std::string>{"pool"});
    CHECK(steps[0].at("kind").get<std::string>() == "pooling");
    CHECK(steps[0].at("kernel").get<std::string>() == "pooling 8x8");
    CHECK(steps[1].at("layers").get<std::vector<std::string>>() == std::vector<std::string>{"logits"});
    CHECK(steps[1].at("kernel").get<std::string>().find("dense") == 0);
    CHECK(steps[1].at("flops").get<int>() == 2 * 3 * 3);
    CHECK(steps[0].at("bytes").get<int>() == 4 * (side * side * 3 + 3));
    for (const Json &step : steps) CHECK(step.at("milliseconds").get<std::vector<double>>().size() == 4);
    CHECK(events.at("traceEvents").get_if<Json::Array>()->size() >= 2);
}

TEST(profile_has_defaults) {
    Classifier classifier;
    mpscnn_text *json = nullptr;
    CHECK(succeeded(classifier.profile(nullptr, &json, nullptr)));
    CHECK(parse_json(taken(json)).at("milliseconds").get<std::vector<double>>().size() == 20);
}

TEST(profile_refuses_what_makes_no_sense) {
    Classifier classifier;
    mpscnn_profile_options options{};
    options.size = sizeof options;
    mpscnn_text *json = nullptr;
    options.runs = -1;
    CHECK(refused(classifier.profile(&options, &json, nullptr), MPSCNN_ERROR_PARAMETER, "-1"));
    options.runs = 100'001;
    CHECK(refused(classifier.profile(&options, &json, nullptr), MPSCNN_ERROR_PARAMETER, "100001"));
    CHECK(refused(classifier.profile(nullptr, nullptr, nullptr), MPSCNN_ERROR_PARAMETER, "json"));
    CHECK(refused(
        mpscnn_session_profile(nullptr, &classifier.input, 1, &classifier.output, 1, nullptr, &json, nullptr),
        MPSCNN_ERROR_PARAMETER, "session"));
    classifier.input.shape[3] = 4;
    CHECK(refused(classifier.profile(nullptr, &json, nullptr), MPSCNN_ERROR_SHAPE, "4"));
    CHECK(json == nullptr);
}
