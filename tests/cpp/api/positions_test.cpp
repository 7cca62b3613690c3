// Positions beyond 2048 in float16 networks, through the C and the C++ interface. float16 has whole numbers
// up to 2048 only, so a rounded position selects another element.

#include <vector>

#include "tests/cpp/c_api.h"

#include "mpscnn/mpscnn.hpp"

using namespace c_api_test;

namespace {

constexpr std::int64_t count = 5000;

/// Add a node with one input or two.
int added(mpscnn_graph *graph, const char *operation, const char *name, std::vector<int> inputs,
          const char *attributes) {
    int value = 0;
    CHECK(succeeded(mpscnn_graph_add_node(graph, operation, name, inputs.data(),
                                          static_cast<int>(inputs.size()), attributes, nullptr, &value)));
    return value;
}

/// Return a network that takes two of 5000 numbers. Its second input holds the positions of the two numbers.
/// If the network computes the positions, the second input holds them divided by 5000.
mpscnn_graph *reader(bool computes) {
    mpscnn_graph *graph = nullptr;
    const std::int64_t numbers[] = {-1, count}, two[] = {-1, 2};
    int x = 0, places = 0;
    CHECK(succeeded(mpscnn_graph_create("reader", &graph)));
    CHECK(succeeded(mpscnn_graph_add_input(graph, "x", numbers, 2, &x)));
    CHECK(succeeded(mpscnn_graph_add_input(graph, "places", two, 2, &places)));
    if (computes) {
        places = added(graph, "neuron", "scaled", {places}, R"({"kind": "linear", "a": 5000.0})");
        places = added(graph, "neuron", "whole", {places}, R"({"kind": "floor"})");
    }
    CHECK(succeeded(mpscnn_graph_mark_output(
        graph, added(graph, "take_along_axis", "taken", {x, places}, R"({"axis": 1})"))));
    return graph;
}

mpscnn_compile_options halves() {
    mpscnn_compile_options options{};
    options.size = sizeof options;
    options.device = "cpu";
    options.precision = "float16";
    return options;
}

/// Return numbers that differ from their neighbours, so that a rounded position gives another number.
std::vector<float> numbers() {
    std::vector<float> result(count);
    for (std::size_t i = 0; i < result.size(); ++i) result[i] = static_cast<float>(i % 2) + 1.0f;
    return result;
}

} // namespace

TEST(c_programs_take_the_right_elements) {
    mpscnn_graph *graph = reader(true);
    const mpscnn_compile_options options = halves();
    mpscnn_program *program = nullptr;
    CHECK(succeeded(mpscnn_program_compile(graph, &options, &program)));
    mpscnn_graph_release(graph);
    mpscnn_session *session = session_of(program);
    const std::vector<float> x = numbers();
    // Both parts are exact in float16. Multiplied by 5000 they give the positions 3757 and 4997, which
    // float16 would round to even numbers.
    const float parts[] = {0.75146484375f, 0.99951171875f};
    float found[2] = {};
    const mpscnn_tensor inputs[] = {floats(x.data(), {1, count}), floats(parts, {1, 2})};
    mpscnn_tensor output = floats(found, {1, 2});
    CHECK(succeeded(mpscnn_session_run(session, inputs, 2, &output, 1)));
    CHECK(found[0] == x[3757]);
    CHECK(found[1] == x[4997]);
    mpscnn_session_release(session);
    mpscnn_program_release(program);
}

TEST(c_programs_cannot_hold_positions_of_an_input) {
    mpscnn_graph *graph = reader(false);
    mpscnn_compile_options options = halves();
    mpscnn_program *program = nullptr;
    CHECK(refused(mpscnn_program_compile(graph, &options, &program), MPSCNN_ERROR_UNSUPPORTED,
                  "'places' holds positions, so compile it in float32 or bfloat16"));
    options.precision = "float32";
    CHECK(succeeded(mpscnn_program_compile(graph, &options, &program)));
    mpscnn_program_release(program);
    mpscnn_graph_release(graph);
}

TEST(layers_of_positions_are_marked) {
    mpscnn_graph *graph = reader(true);
    mpscnn_text *text = nullptr;
    CHECK(refused(mpscnn_graph_keep_positions(nullptr), MPSCNN_ERROR_PARAMETER, "graph"));
    CHECK(succeeded(mpscnn_graph_to_json(graph, &text)));
    CHECK(taken(text).find("keep_float32") == std::string::npos);
    CHECK(succeeded(mpscnn_graph_keep_positions(graph)));
    CHECK(succeeded(mpscnn_graph_to_json(graph, &text)));
    const std::string marked = taken(text);
    const std::size_t first = marked.find(R"("keep_float32":true)"),
                      last = marked.rfind(R"("keep_float32":true)");
    CHECK(marked.find("\"scaled\"") < first && first < marked.find("\"whole\""));
    CHECK(first < last && last < marked.find("\"taken\""));
    mpscnn_graph_release(graph);
}

TEST(cpp_programs_take_the_right_elements) {
    namespace layer = mpscnn::layer;
    auto graph = mpscnn::Graph::create("reader");
    const mpscnn::Value x = graph.add_input("x", mpscnn::Shape{-1, count}),
                        part = graph.add_input("part", mpscnn::Shape{-1, 2});
    const mpscnn::Value scaled =
        graph.add(layer::Neuron{.kind = layer::NeuronKind::linear, .a = 5000.0}, "scaled", part);
    const mpscnn::Value whole = graph.add(layer::Neuron{.kind = layer::NeuronKind::floor}, "whole", scaled);
    graph.mark_output(graph.add(layer::TakeAlongAxis{.axis = 1}, "taken", {x, whole}));
    const std::vector<float> values = numbers(), parts{0.75146484375f, 0.99951171875f};
    std::vector<float> found(2);
    auto session = graph.compile({.device = "cpu", .precision = "float16"}).session();
    const std::vector<mpscnn_tensor> inputs{mpscnn::tensor(values.data(), mpscnn::Shape{1, count}),
                                            mpscnn::tensor(parts.data(), mpscnn::Shape{1, 2})};
    std::vector<mpscnn_tensor> outputs{mpscnn::tensor(found.data(), mpscnn::Shape{1, 2})};
    session.run(inputs, outputs);
    CHECK(found[0] == values[3757]);
    CHECK(found[1] == values[4997]);
}
