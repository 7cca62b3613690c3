#pragma once

// Uses of the library, step by step, for failing_memory_test.cpp, in which memory and threads may fail.

#include "tests/cpp/api/failing_memory.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>

#include <unistd.h>

#include "core/json.h"
#include "tests/cpp/c_api.h"

namespace {

using namespace c_api_test;

/// Calls of a user. A step that fails is repeated with enough memory and must then succeed.
class Trial {
public:
    /// Let attempt number `position` at `source` fail, and with `for_ever` all later ones.
    Trial(failing::Source &source, long position, bool for_ever) : source_(source) {
        source_.begin(position, for_ever);
    }
    ~Trial() { source_.end(); }
    Trial(const Trial &) = delete;
    Trial &operator=(const Trial &) = delete;

    template <class Call> void step(const char *name, Call call) {
        const mpscnn_status status = call();
        if (status == MPSCNN_OK) return;
        const std::string_view message = mpscnn_last_error();
        again(name, status, message, call);
    }

    /// Check the failure of a call like step(), if its status and message were not reported by its return
    /// value and mpscnn_last_error().
    template <class Call>
    void again(const char *name, mpscnn_status status, std::string_view message, Call call) {
        const long position = source_.pause();
        ++failures_;
        const bool error = status >= MPSCNN_ERROR_SHAPE && status <= MPSCNN_ERROR_MEMORY && !message.empty();
        if (!error)
            std::printf("%s: status %d, message '%.*s'\n", name, status, static_cast<int>(message.size()),
                        message.data());
        CHECK(error);
        const bool passed = succeeded(call());
        if (!passed) std::printf("%s: does not pass afterwards\n", name);
        CHECK(passed);
        source_.resume(position);
    }

    int failures() const { return failures_; }

private:
    failing::Source &source_;
    int failures_ = 0;
};

constexpr std::size_t image_floats = std::size_t{side} * side * 3;

/// The arguments that a frame's handler received, without allocated memory.
struct Received {
    std::atomic<int> times{0}, released{0};
    mpscnn_status status = MPSCNN_OK;
    char message[200] = "";
};

void tell(mpscnn_status status, const char *message, void *context) {
    auto &received = *static_cast<Received *>(context);
    received.status = status;
    std::snprintf(received.message, sizeof received.message, "%s", message);
    ++received.times;
}

/// Objects that are made before anything fails.
struct Fixture {
    std::string bytes = model_bytes();
    std::filesystem::path file =
        std::filesystem::temp_directory_path() / ("mpscnn_failing_memory_" + std::to_string(getpid()) + "_" +
                                                  std::to_string(std::rand()) + ".safetensors");
    std::string path = file.string();
    std::vector<float> image = std::vector<float>(2 * image_floats, 1.0f);
    std::vector<std::uint8_t> pixels = std::vector<std::uint8_t>(24 * 20 * 3, 100);
    mpscnn_image photo{};

    Fixture() {
        std::FILE *written = std::fopen(path.c_str(), "wb");
        CHECK(written && std::fwrite(bytes.data(), 1, bytes.size(), written) == bytes.size());
        if (written) std::fclose(written);
        photo.pixels = pixels.data();
        photo.width = 24;
        photo.height = 20;
        photo.format = MPSCNN_RGB8;
    }
    ~Fixture() { std::filesystem::remove(file); }

    mpscnn_tensor input(int images) const {
        mpscnn_tensor tensor{};
        tensor.data = const_cast<float *>(image.data());
        tensor.rank = 4;
        const std::int64_t shape[] = {images, side, side, 3};
        std::copy(std::begin(shape), std::end(shape), tensor.shape);
        return tensor;
    }
};

mpscnn_tensor output_of(float *data, int images) {
    mpscnn_tensor tensor{};
    tensor.data = data;
    tensor.rank = 2;
    tensor.shape[0] = images;
    tensor.shape[1] = classes;
    return tensor;
}

mpscnn_status described(mpscnn_status status, mpscnn_text *&text) {
    mpscnn_text_release(text);
    text = nullptr;
    return status;
}

/// Build a network by calls: it has layers with work for two threads, weights, and queries of its properties.
mpscnn_graph *built(Trial &trial) {
    mpscnn_graph *graph = nullptr;
    trial.step("graph", [&] { return mpscnn_graph_create("small", &graph); });
    const std::int64_t shape[] = {-1, side, side, 3};
    int value = 0, source = 0;
    trial.step("input", [&] { return mpscnn_graph_add_input(graph, "image", shape, 4, &source); });
    const auto add = [&](const char *operation, const char *name, const char *attributes) {
        trial.step(name, [&] {
            return mpscnn_graph_add_node(graph, operation, name, &source, 1, attributes, nullptr, &value);
        });
        source = value;
    };
    add("convolution", "first convolution",
        R"({"output_channels": 16, "kernel_height": 3, "kernel_width": 3})");
    add("neuron", "a rectified linear unit", R"({"kind": "relu"})");
    add("convolution", "a second convolution", R"({"output_channels": 8})");
    add("pooling", "a pooling of every pixel", R"({"kind": "average", "global": true})");
    add("fully_connected", "a dense layer for logits", R"({"outputs": 3})");
    add("softmax", "probabilities", "{}");
    trial.step("output", [&] { return mpscnn_graph_mark_output(graph, value); });
    static const float ones[3 * 3 * 3 * 16] = {1, 2, 3};
    const auto set = [&](const char *layer, std::int64_t outputs, std::int64_t kernel, std::int64_t inputs) {
        mpscnn_tensor tensor{};
        tensor.data = const_cast<float *>(ones);
        tensor.rank = 4;
        const std::int64_t extents[] = {outputs, kernel, kernel, inputs};
        std::copy(std::begin(extents), std::end(extents), tensor.shape);
        trial.step(layer, [&] {
            return mpscnn_graph_set_weight(graph, layer, "weight", &tensor, nullptr, nullptr, 0);
        });
    };
    set("first convolution", 16, 3, 3);
    set("a second convolution", 8, 1, 16);
    set("a dense layer for logits", 3, 1, 8);
    mpscnn_graph *copy = nullptr;
    trial.step("copy", [&] { return mpscnn_graph_copy(graph, &copy); });
    trial.step("a shared weight", [&] {
        return mpscnn_graph_share_weight(graph, "first convolution", "weight", copy, "first convolution");
    });
    mpscnn_graph_release(copy);
    mpscnn_text *text = nullptr;
    trial.step("to_json", [&] { return described(mpscnn_graph_to_json(graph, &text), text); });
    trial.step("describe", [&] { return described(mpscnn_graph_describe(graph, 0, 0, &text), text); });
    trial.step("weights", [&] { return described(mpscnn_graph_weights(graph, &text), text); });
    return graph;
}

mpscnn_program *compiled(Trial &trial, const mpscnn_graph *graph) {
    mpscnn_program *program = nullptr;
    mpscnn_compile_options options{};
    options.size = sizeof options;
    options.device = "cpu";
    trial.step("compile", [&] { return mpscnn_program_compile(graph, &options, &program); });
    mpscnn_text *text = nullptr;
    trial.step("describe", [&] { return described(mpscnn_program_describe(program, &text), text); });
    return program;
}

mpscnn_session *session_with(Trial &trial, mpscnn_program *program, int threads) {
    mpscnn_session *session = nullptr;
    mpscnn_session_options options{};
    options.size = sizeof options;
    options.threads = threads;
    trial.step("session", [&] { return mpscnn_session_create(program, &options, &session); });
    return session;
}

void run_sessions(Trial &trial, const Fixture &fixture, mpscnn_program *program) {
    for (const int threads : {1, 2}) {
        mpscnn_session *session = session_with(trial, program, threads);
        for (const int images : {1, 2, 1}) {
            float results[2 * classes] = {};
            const mpscnn_tensor input = fixture.input(images), output = output_of(results, images);
            trial.step("run", [&] { return mpscnn_session_run(session, &input, 1, &output, 1); });
            CHECK(results[0] > 0);
            mpscnn_request *request = nullptr;
            trial.step("submit",
                       [&] { return mpscnn_session_submit(session, &input, 1, &output, 1, &request); });
            int done = 0;
            trial.step("wait", [&] { return mpscnn_request_wait(request, -1, &done); });
            CHECK(done == 1);
            mpscnn_request_release(request);
        }
        mpscnn_session_release(session);
    }
}

void run_runner(Trial &trial, const Fixture &fixture, mpscnn_program *program, const mpscnn_model *model) {
    mpscnn_runner *runner = nullptr;
    mpscnn_runner_options options{};
    options.size = sizeof options;
    options.inflight = 2;
    options.max_batch = 2;
    options.threads = 1;
    trial.step("runner", [&] { return mpscnn_runner_create(program, &options, &runner); });
    constexpr int frames = 6;
    Received received[frames];
    float results[frames][classes] = {};
    mpscnn_predictions *predictions[frames] = {};
    const mpscnn_tensor input = fixture.input(1);
    const auto submit = [&](int i) {
        const mpscnn_tensor output = output_of(results[i], 1);
        if (i % 3 == 2)
            return mpscnn_runner_classify(runner, model, &fixture.photo, 2, &predictions[i], tell,
                                          &received[i], nullptr);
        const auto plain = i % 3 == 0 ? mpscnn_runner_submit : mpscnn_runner_submit_brief;
        return plain(runner, &input, 1, &output, 1, tell, &received[i], nullptr);
    };
    for (int i = 0; i < frames; ++i) trial.step("submit", [&] { return submit(i); });
    Received marked, cancelled;
    trial.step("mark", [&] { return mpscnn_runner_mark(runner, tell, &marked); });
    trial.step("wait", [&] { return mpscnn_runner_wait(runner); });
    CHECK(marked.times == 1 && marked.status == MPSCNN_OK);
    for (int i = 0; i < frames; ++i) {
        CHECK(received[i].times == 1);
        if (received[i].status != MPSCNN_OK)
            trial.again("frame", received[i].status, received[i].message, [&] {
                const mpscnn_status status = submit(i);
                return status == MPSCNN_OK ? mpscnn_runner_wait(runner) : status;
            });
        CHECK(received[i].status == MPSCNN_OK);
        if (i % 3 == 2) CHECK(mpscnn_predictions_count(predictions[i]) == 2);
        mpscnn_predictions_release(predictions[i]);
    }
    // Frames with handlers: the first handler blocks the others until they are cancelled.
    for (int i = 0; i < 3; ++i) {
        std::uint64_t number = 0;
        const mpscnn_tensor output = output_of(results[0], 1);
        const int before = cancelled.times;
        trial.step("submit", [&] {
            return mpscnn_runner_submit(runner, &input, 1, &output, 1, tell, &cancelled, &number);
        });
        int was = 0;
        trial.step("cancel", [&] { return mpscnn_runner_cancel(runner, number, &was); });
        trial.step("wait", [&] { return mpscnn_runner_wait(runner); });
        CHECK(cancelled.times == before + 1);
        if (was) CHECK(cancelled.status == MPSCNN_ERROR_CANCELLED && cancelled.message[0] != 0);
    }
    trial.step("close", [&] { return mpscnn_runner_close(runner, 1); });
    mpscnn_runner_release(runner);
}

void use_model_file(Trial &trial, const Fixture &fixture) {
    mpscnn_model *model = nullptr, *loaded = nullptr;
    trial.step("parse", [&] {
        return mpscnn_model_parse(fixture.bytes.data(), fixture.bytes.size(), "a model in memory", &model);
    });
    trial.step("check", [&] { return mpscnn_model_check(fixture.path.c_str()); });
    trial.step("load", [&] { return mpscnn_model_load(fixture.path.c_str(), &loaded); });
    mpscnn_text *text = nullptr;
    trial.step("describe", [&] { return described(mpscnn_model_describe(loaded, &text), text); });
    mpscnn_model_release(loaded);
    mpscnn_graph *graph = nullptr;
    trial.step("graph", [&] { return mpscnn_model_graph(model, &graph); });
    mpscnn_program *program = compiled(trial, graph);
    mpscnn_graph_release(graph);
    mpscnn_session *session = session_with(trial, program, 2);
    mpscnn_predictions *predictions = nullptr;
    trial.step("classify",
               [&] { return mpscnn_model_classify(model, session, &fixture.photo, 0, &predictions); });
    CHECK(mpscnn_predictions_count(predictions) == classes);
    mpscnn_predictions_release(predictions);
    mpscnn_session_release(session);
    run_runner(trial, fixture, program, model);
    mpscnn_program_release(program);
    mpscnn_model_release(model);
}

void use_kernels(Trial &trial) {
    mpscnn_queue_options options{};
    options.size = sizeof options;
    options.device = "cpu";
    options.threads = 2;
    mpscnn_queue *queue = nullptr;
    trial.step("queue", [&] { return mpscnn_queue_create(&options, &queue); });
    mpscnn_image_descriptor size{};
    size.size = sizeof size;
    size.width = size.height = 6;
    size.feature_channels = 4;
    size.number_of_images = 1;
    mpscnn_feature_image *source = nullptr, *result = nullptr;
    trial.step("image", [&] { return mpscnn_feature_image_create(&size, &source); });
    trial.step("image", [&] { return mpscnn_feature_image_create(&size, &result); });
    mpscnn_kernel *kernel = nullptr;
    trial.step("kernel", [&] {
        return mpscnn_kernel_create("PoolingMax", R"({"kernel_width": 3, "kernel_height": 3})", &kernel);
    });
    Received received;
    mpscnn_command_buffer *commands = nullptr;
    const auto record = [&] {
        mpscnn_command_buffer_release(commands);
        commands = nullptr;
        trial.step("commands", [&] { return mpscnn_command_buffer_create(queue, &commands); });
        for (int i = 0; i < 2; ++i)
            trial.step("encode", [&] { return mpscnn_kernel_encode(kernel, commands, &source, 1, result); });
        trial.step("handler", [&] {
            const int released = received.released;
            const mpscnn_status status = mpscnn_command_buffer_add_completed_handler(
                commands, [](void *context) { ++static_cast<Received *>(context)->times; }, &received,
                [](void *context) { ++static_cast<Received *>(context)->released; });
            CHECK(received.released == released); // a refused context belongs to the caller
            return status;
        });
        trial.step("commit", [&] { return mpscnn_command_buffer_commit(commands); });
        return mpscnn_command_buffer_wait(commands);
    };
    trial.step("commands run", record);
    CHECK(received.times >= 1);
    mpscnn_command_buffer_release(commands);
    CHECK(received.released >= received.times);
    mpscnn_kernel_release(kernel);
    mpscnn_feature_image_release(source);
    mpscnn_feature_image_release(result);
    mpscnn_queue_release(queue);
}

void use_graph(Trial &trial, const Fixture &fixture) {
    mpscnn_graph *graph = built(trial);
    mpscnn_program *program = compiled(trial, graph);
    run_sessions(trial, fixture, program);
    mpscnn_program_release(program);
    mpscnn_graph_release(graph);
}

} // namespace
