#pragma once

// Helpers of the tests of the C interface: a tiny classifier, as a graph and as a model file.

#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "mpscnn/mpscnn.h"
#include "tests/cpp/check.h"

namespace c_api_test {

/// True if the call failed with this status and a message that contains `part`.
inline bool refused(mpscnn_status status, mpscnn_status expected, std::string_view part) {
    const std::string_view message = mpscnn_last_error();
    if (status == expected && message.find(part) != std::string_view::npos) return true;
    std::printf("  status %d (expected %d), message: %s\n", status, expected, mpscnn_last_error());
    return false;
}

inline bool succeeded(mpscnn_status status) {
    if (status != MPSCNN_OK) std::printf("  status %d: %s\n", status, mpscnn_last_error());
    return status == MPSCNN_OK;
}

/// Return the text and release it. Returns "" if the call that should have made the text failed.
inline std::string taken(mpscnn_text *&text) {
    if (!text) return {};
    std::string result(mpscnn_text_data(text), mpscnn_text_size(text));
    mpscnn_text_release(std::exchange(text, nullptr));
    return result;
}

inline mpscnn_tensor floats(const float *data, std::vector<std::int64_t> shape) {
    mpscnn_tensor tensor{};
    tensor.data = const_cast<float *>(data);
    tensor.rank = static_cast<int>(shape.size());
    for (std::size_t axis = 0; axis < shape.size(); ++axis) tensor.shape[axis] = shape[axis];
    return tensor;
}

constexpr int side = 8, classes = 3;

/// (n, 8, 8, 3) -> global average "pool" -> dense "logits": class c gets 10 times the mean of channel c.
inline mpscnn_graph *classifier_graph() {
    mpscnn_graph *graph = nullptr;
    CHECK(succeeded(mpscnn_graph_create("tiny", &graph)));
    const std::int64_t shape[] = {-1, side, side, 3};
    int image = 0, pool = 0, logits = 0;
    CHECK(succeeded(mpscnn_graph_add_input(graph, "image", shape, 4, &image)));
    CHECK(succeeded(mpscnn_graph_add_node(graph, "pooling", "pool", &image, 1,
                                          R"({"kind": "average", "global": true})", nullptr, &pool)));
    CHECK(succeeded(mpscnn_graph_add_node(graph, "fully_connected", "logits", &pool, 1, R"({"outputs": 3})",
                                          nullptr, &logits)));
    CHECK(succeeded(mpscnn_graph_mark_output(graph, logits)));
    const float weight[] = {10, 0, 0, 0, 10, 0, 0, 0, 10};
    const mpscnn_tensor tensor = floats(weight, {classes, 1, 1, 3});
    CHECK(succeeded(mpscnn_graph_set_weight(graph, "logits", "weight", &tensor, nullptr, nullptr, 0)));
    return graph;
}

inline mpscnn_program *classifier_program() {
    mpscnn_graph *graph = classifier_graph();
    mpscnn_program *program = nullptr;
    CHECK(succeeded(mpscnn_program_compile(graph, nullptr, &program)));
    mpscnn_graph_release(graph);
    return program;
}

inline mpscnn_session *session_of(mpscnn_program *program) {
    mpscnn_session_options options{};
    options.size = sizeof options;
    options.threads = 1;
    mpscnn_session *session = nullptr;
    CHECK(succeeded(mpscnn_session_create(program, &options, &session)));
    return session;
}

/// Return the bytes of a model file with the network of classifier_graph().
inline std::string model_bytes(const std::string &preprocess = R"(\"unit\")",
                               const std::string &labels = R"([\"red\", \"green\", \"blue\"])") {
    const std::string graph =
        R"({\"name\": \"tiny\", \"inputs\": [{\"name\": \"image\", \"shape\": [-1, 8, 8, 3]}], \"nodes\": [)"
        R"({\"name\": \"pool\", \"operation\": \"pooling\", \"inputs\": [\"image\"], )"
        R"(\"attributes\": {\"kind\": \"average\", \"global\": true}}, )"
        R"({\"name\": \"logits\", \"operation\": \"fully_connected\", \"inputs\": [\"pool\"], )"
        R"(\"attributes\": {\"outputs\": 3}}], \"outputs\": [\"logits\"]})";
    std::string header =
        R"({"__metadata__": {"mpscnn.version": "1", "mpscnn.graph": ")" + graph +
        R"(", "mpscnn.preprocess": ")" + preprocess + R"(", "mpscnn.labels": ")" + labels +
        R"("}, "logits.weight": {"dtype": "F32", "shape": [3, 1, 1, 3], "data_offsets": [0, 36]}})";
    header.resize((header.size() + 7) / 8 * 8, ' ');
    const auto header_size = static_cast<std::uint64_t>(header.size());
    const float weight[] = {10, 0, 0, 0, 10, 0, 0, 0, 10};
    return std::string(reinterpret_cast<const char *>(&header_size), sizeof header_size) + header +
           std::string(reinterpret_cast<const char *>(weight), sizeof weight);
}

inline mpscnn_model *parsed(const std::string &bytes) {
    mpscnn_model *model = nullptr;
    CHECK(succeeded(mpscnn_model_parse(bytes.data(), bytes.size(), "tiny model", &model)));
    return model;
}

} // namespace c_api_test
