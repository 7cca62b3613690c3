// libFuzzer target for the settings of model files: graphs, preprocessing, detection. README.md in this
// folder describes how to run it.
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include <mpscnn/mpscnn.h>

#include "tests/fuzz/calls.h"
#include "tests/fuzz/choices.h"
#include "tests/fuzz/time_budget.h"

namespace {

std::string taken(mpscnn_text *text) {
    std::string result(mpscnn_text_data(text), mpscnn_text_size(text));
    mpscnn_text_release(text);
    return result;
}

void read_graph(const std::string &json) {
    mpscnn_graph *graph = nullptr;
    if (!succeeded(mpscnn_graph_from_json(json.data(), json.size(), &graph))) return;
    mpscnn_text *text = nullptr;
    require(succeeded(mpscnn_graph_to_json(graph, &text)));
    const std::string written = taken(text);
    mpscnn_graph *again = nullptr;
    require(succeeded(mpscnn_graph_from_json(written.data(), written.size(), &again)));
    require(succeeded(mpscnn_graph_to_json(again, &text)));
    require(taken(text) == written);
    if (succeeded(mpscnn_graph_describe(graph, 9, 7, &text))) mpscnn_text_release(text);
    if (succeeded(mpscnn_graph_weights(graph, &text))) mpscnn_text_release(text);
    mpscnn_graph_release(again);
    mpscnn_graph_release(graph);
}

void read_preprocessing(const std::string &json, int channels) {
    mpscnn_text *text = nullptr;
    if (!succeeded(mpscnn_preprocess_describe(json.c_str(), channels, &text))) return;
    const std::string described = taken(text);
    require(succeeded(mpscnn_preprocess_describe(described.c_str(), channels, &text)));
    require(taken(text) == described);
    const PlainPhoto photo;
    std::vector<float> input(static_cast<std::size_t>(11 * 13 * channels));
    succeeded(mpscnn_preprocess(&photo.image, described.c_str(), 11, 13, channels, input.data()));
}

/// Check that objects are refused, or that every anchor's targets are finite and have one class.
void make_targets(const mpscnn_detector *detector, std::int64_t anchors, int columns, Choices &choices) {
    std::vector<float> boxes;
    std::vector<int> labels(choices.below(9));
    for (int &label : labels) {
        const float left = choices.yes() ? 0.25f : choices.raw<float>();
        boxes.insert(boxes.end(), {left, 0.125f, left + 0.5f, 0.5f});
        label = choices.up_to(5) - 1;
    }
    const std::size_t row = 4 + static_cast<std::size_t>(columns);
    std::vector<float> targets(static_cast<std::size_t>(anchors) * row);
    if (!succeeded(mpscnn_detector_targets(detector, boxes.data(), labels.data(),
                                           static_cast<std::int64_t>(labels.size()), columns, 0.5f,
                                           targets.data())))
        return;
    for (std::size_t at = 0; at < targets.size(); at += row) {
        float sum = 0;
        for (std::size_t column = 4; column < row; ++column) sum += targets[at + column];
        require(sum == 1.0f);
        for (std::size_t number = 0; number < 4; ++number) require(std::isfinite(targets[at + number]));
    }
}

void read_detection(const std::string &json, Choices &choices) {
    const int height = 1 + choices.up_to(200), width = 1 + choices.up_to(200);
    const int columns = 1 + choices.up_to(5);
    std::vector<float> anchors(4 * choices.below(40));
    for (float &number : anchors) number = choices.yes() ? 0.25f : choices.raw<float>();
    mpscnn_detector *detector = nullptr;
    if (!succeeded(mpscnn_detector_create(json.c_str(), height, width, anchors.data(),
                                          static_cast<std::int64_t>(anchors.size() / 4), &detector)))
        return;
    mpscnn_text *text = nullptr;
    require(succeeded(mpscnn_detector_describe(detector, &text)));
    const std::string described = taken(text);
    mpscnn_detector *again = nullptr;
    require(succeeded(mpscnn_detector_create(described.c_str(), height, width, anchors.data(),
                                             static_cast<std::int64_t>(anchors.size() / 4), &again)));
    require(mpscnn_detector_anchor_count(again) == mpscnn_detector_anchor_count(detector));
    mpscnn_detector_release(again);
    std::int64_t count = mpscnn_detector_anchor_count(detector);
    if (count <= 20'000) make_targets(detector, count, columns, choices);
    if (count == 0) count = choices.number() & 0xffff;
    if (count <= 20'000) {
        std::vector<float> codes(static_cast<std::size_t>(count) * 4),
            scores(static_cast<std::size_t>(count * columns));
        const std::uint32_t seed = choices.raw<std::uint32_t>(), spread = choices.raw<std::uint32_t>() | 1;
        for (std::size_t i = 0; i < codes.size(); ++i)
            codes[i] = static_cast<float>((seed + spread * i) % 1024) / 512.0f - 1.0f;
        for (std::size_t i = 0; i < scores.size(); ++i)
            scores[i] = static_cast<float>((seed + spread * i) % 4096) / 4096.0f;
        mpscnn_detections *found = nullptr;
        if (succeeded(mpscnn_detector_run(detector, codes.data(), scores.data(), count, columns, nullptr,
                                          &found))) {
            require(mpscnn_detections_count(found) <= count * columns);
            mpscnn_detections_release(found);
        }
    }
    mpscnn_detector_release(detector);
}

} // namespace

/// Check that settings are refused, or can be written, read again with the same result, and used.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
    Choices choices(data, size);
    const std::size_t kind = choices.below(3), text_size = choices.raw<std::uint16_t>();
    const bool is_long = choices.yes();
    const int channels = choices.yes() ? 3 : 1;
    const std::string_view given = choices.take(kind == 2 ? text_size : SIZE_MAX);
    Choices parts(reinterpret_cast<const std::uint8_t *>(given.data()), given.size());
    const std::string json = is_long ? parts.long_text() : std::string(given);
    const TimeBudget budget(json.size() + 100'000);
    if (kind == 0) read_graph(json);
    if (kind == 1) read_preprocessing(json, channels);
    if (kind == 2) read_detection(json, choices);
    return 0;
}
