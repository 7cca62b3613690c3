// Tests of networks that use functions of the program as layers, in C++ and in C.

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

// check.h uses the internal class mpscnn::Error. It comes before mpscnn.hpp, whose class of the same name
// would make the name ambiguous.
#include "tests/cpp/check.h"

#include "mpscnn/mpscnn.hpp"

namespace {

using Tensors = std::span<const mpscnn_tensor>;

std::int64_t elements_of(const mpscnn_tensor &tensor) {
    std::int64_t count = 1;
    for (int axis = 0; axis < tensor.rank; ++axis) count *= tensor.shape[axis];
    return count;
}

void add_one(Tensors inputs, const mpscnn_tensor &output) {
    const auto *source = static_cast<const float *>(inputs[0].data);
    auto *result = static_cast<float *>(output.data);
    for (std::int64_t i = 0; i < elements_of(output); ++i) result[i] = source[i] + 1.0f;
}

mpscnn::Graph graph_around(mpscnn::CustomLayer function) {
    auto graph = mpscnn::Graph::create("around");
    const mpscnn::Value image = graph.add_input("image", mpscnn::Shape{-1, 2, 2, 1});
    const mpscnn::Value twice =
        graph.add(mpscnn::layer::Neuron{.kind = mpscnn::layer::NeuronKind::linear, .a = 2.0}, "twice", image);
    graph.mark_output(graph.add_custom("mine", {&twice, 1}, std::move(function)));
    return graph;
}

std::string message_of(const std::function<void()> &action) {
    try {
        action();
    } catch (const std::exception &error) {
        return error.what();
    }
    return "";
}

bool holds(const std::string &text, std::string_view part) { return text.find(part) != text.npos; }

int fail_in_c(const mpscnn_tensor *, int, const mpscnn_tensor *, char *message, size_t capacity, void *) {
    std::snprintf(message, capacity, "out of ink");
    return 7;
}

void count_release(void *context) { ++*static_cast<int *>(context); }

/// The handles that a layer releases while it runs.
struct Running {
    mpscnn_program *program = nullptr;
    mpscnn_session *session = nullptr;
    bool runs = false;
    int released = 0;
    int released_while_it_runs = 0;
};

int release_all_handles(const mpscnn_tensor *, int, const mpscnn_tensor *output, char *, size_t,
                        void *context) {
    auto &running = *static_cast<Running *>(context);
    running.runs = true;
    mpscnn_session_release(running.session);
    mpscnn_program_release(running.program);
    for (std::int64_t i = 0; i < elements_of(*output); ++i) static_cast<float *>(output->data)[i] = 5.0f;
    running.runs = false;
    return 0;
}

void note_release(void *context) {
    auto &running = *static_cast<Running *>(context);
    ++running.released;
    running.released_while_it_runs += running.runs;
}

} // namespace

TEST(a_function_is_a_layer) {
    const mpscnn::Program program = graph_around({add_one}).compile({.device = "cpu"});
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; ++i)
        threads.emplace_back([&, i] {
            auto session = program.session({.threads = 1});
            for (int round = 0; round < 10; ++round) {
                const std::vector<float> input(8, static_cast<float>(i + round));
                std::vector<float> output(8);
                session.run(input, output);
                CHECK(output == std::vector<float>(8, 2.0f * static_cast<float>(i + round) + 1.0f));
            }
        });
    for (std::thread &thread : threads) thread.join();
}

TEST(a_function_says_its_shape) {
    const auto flat = [](Tensors inputs, mpscnn_tensor &output) {
        output.rank = 2;
        output.shape[0] = inputs[0].shape[0];
        output.shape[1] = 4;
    };
    const mpscnn::Graph graph = graph_around({add_one, flat});
    CHECK(graph.shape(2) == mpscnn::Shape({-1, 4}));
    CHECK(graph.layers().back().operation == "custom");
    std::vector<float> input(4, 3.0f), output(4);
    graph.compile({.device = "cpu"}).session({.threads = 1}).run(input, output);
    CHECK(output == std::vector<float>(4, 7.0f));
    const auto other_batch = [](Tensors, mpscnn_tensor &result) { result.shape[0] = 3; };
    CHECK(holds(message_of([&] { graph_around({add_one, other_batch}); }), "the inputs' batch"));
    CHECK(holds(message_of([] { graph_around({}); }), "needs the function 'run'"));
}

TEST(what_a_function_throws_names_the_layer) {
    const auto broken = [](Tensors, const mpscnn_tensor &) { throw std::runtime_error("no luck"); };
    auto session = graph_around({broken}).compile({.device = "cpu"}).session({.threads = 1});
    std::vector<float> input(4), output(4);
    for (int round = 0; round < 2; ++round)
        CHECK(message_of([&] { session.run(input, output); }) == "layer 'mine': no luck");
}

TEST(a_network_with_a_function_is_not_saved) {
    CHECK(holds(message_of([] { graph_around({add_one}).save("never_written.safetensors"); }),
                "layer 'mine' is a function of this program"));
    const mpscnn::Graph graph = graph_around({add_one});
    CHECK(holds(message_of([&] { mpscnn::Graph::from_json(graph.to_json()); }), "only the program"));
}

TEST(a_c_function_is_released_once) {
    int released = 0;
    mpscnn_custom_layer layer{};
    layer.size = sizeof layer;
    layer.run = fail_in_c;
    layer.release = count_release;
    layer.context = &released;
    {
        auto graph = mpscnn::Graph::create("c");
        const mpscnn::Value image = graph.add_input("image", mpscnn::Shape{-1, 2, 2, 1});
        int value = 0;
        CHECK(mpscnn_graph_add_custom(graph.get(), "image", &image, 1, &layer, &value) ==
              MPSCNN_ERROR_PARAMETER);
        CHECK(released == 0); // the name exists, so the data still belongs to the caller
        CHECK(mpscnn_graph_add_custom(graph.get(), "mine", &image, 1, &layer, &value) == MPSCNN_OK);
        graph.mark_output(value);
        const mpscnn::Program program = graph.compile({.device = "cpu"});
        std::vector<float> input(4), output(4);
        auto session = program.session({.threads = 1});
        CHECK(message_of([&] { session.run(input, output); }) == "layer 'mine': out of ink");
        CHECK(released == 0);
    }
    CHECK(released == 1);
}

TEST(a_run_completes_when_its_session_is_released) {
    Running running;
    mpscnn_custom_layer layer{};
    layer.size = sizeof layer;
    layer.run = release_all_handles;
    layer.release = note_release;
    layer.context = &running;
    {
        auto graph = mpscnn::Graph::create("c");
        const mpscnn::Value image = graph.add_input("image", mpscnn::Shape{-1, 2, 2, 1});
        int value = 0;
        CHECK(mpscnn_graph_add_custom(graph.get(), "mine", &image, 1, &layer, &value) == MPSCNN_OK);
        graph.mark_output(value);
        CHECK(mpscnn_program_compile(graph.get(), nullptr, &running.program) == MPSCNN_OK);
    }
    CHECK(mpscnn_session_create(running.program, nullptr, &running.session) == MPSCNN_OK);
    std::vector<float> input(4), output(4);
    mpscnn_tensor source{}, result{};
    source.rank = result.rank = 4;
    source.data = input.data();
    result.data = output.data();
    for (mpscnn_tensor *tensor : {&source, &result})
        for (const int axis : {0, 1, 2, 3}) tensor->shape[axis] = axis == 1 || axis == 2 ? 2 : 1;
    CHECK(mpscnn_session_run(running.session, &source, 1, &result, 1) == MPSCNN_OK);
    CHECK(output == std::vector<float>(4, 5.0f));
    CHECK(running.released == 1);
    CHECK(running.released_while_it_runs == 0);
}
