// The C interface: compiling, running, model files, photos.

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "tests/cpp/c_api.h"

using namespace c_api_test;

namespace {

constexpr std::size_t image_floats = std::size_t{side} * side * 3;

/// A photo of a single color.
struct Photo {
    std::vector<std::uint8_t> pixels;
    mpscnn_image image{};

    Photo(std::uint8_t red, std::uint8_t green, std::uint8_t blue, int width = 20, int height = 10) {
        for (int i = 0; i < width * height; ++i) pixels.insert(pixels.end(), {red, green, blue});
        image.pixels = pixels.data();
        image.width = width;
        image.height = height;
        image.format = MPSCNN_RGB8;
    }
};

} // namespace

TEST(compile_refuses_what_it_cannot_do) {
    mpscnn_graph *graph = classifier_graph();
    mpscnn_program *program = nullptr;
    mpscnn_compile_options options{};
    options.size = sizeof options;
    CHECK(refused(mpscnn_program_compile(nullptr, &options, &program), MPSCNN_ERROR_PARAMETER, "graph"));
    CHECK(refused(mpscnn_program_compile(graph, &options, nullptr), MPSCNN_ERROR_PARAMETER, "program"));
    options.device = "abacus";
    CHECK(refused(mpscnn_program_compile(graph, &options, &program), MPSCNN_ERROR_PARAMETER, "abacus"));
    options.device = "metal:no such device";
    CHECK(refused(mpscnn_program_compile(graph, &options, &program), MPSCNN_ERROR_DEVICE, "no Metal device"));
    options.device = "cpu";
    options.precision = "float8";
    CHECK(refused(mpscnn_program_compile(graph, &options, &program), MPSCNN_ERROR_PARAMETER, "float8"));
    options.precision = nullptr;
    options.output_count = 1;
    CHECK(refused(mpscnn_program_compile(graph, &options, &program), MPSCNN_ERROR_PARAMETER, "outputs"));
    const char *unknown[] = {"pol"}, *null[] = {nullptr};
    options.outputs = unknown;
    CHECK(refused(mpscnn_program_compile(graph, &options, &program), MPSCNN_ERROR_PARAMETER, "pol"));
    options.outputs = null;
    CHECK(refused(mpscnn_program_compile(graph, &options, &program), MPSCNN_ERROR_PARAMETER, "outputs"));
    mpscnn_graph_release(graph);

    CHECK(succeeded(mpscnn_graph_create("empty", &graph)));
    CHECK(refused(mpscnn_program_compile(graph, nullptr, &program), MPSCNN_ERROR_PARAMETER, "no output"));
    CHECK(program == nullptr);
    mpscnn_graph_release(graph);
}

TEST(options_of_older_and_newer_callers) {
    struct Newer {
        mpscnn_session_options known;
        std::uint64_t added;
    } newer{};
    mpscnn_program *program = classifier_program();
    mpscnn_session *session = nullptr;
    newer.known.size = sizeof newer;
    CHECK(succeeded(mpscnn_session_create(program, &newer.known, &session)));
    mpscnn_session_release(session);
    newer.added = 1;
    CHECK(refused(mpscnn_session_create(program, &newer.known, &session), MPSCNN_ERROR_UNSUPPORTED,
                  "mpscnn_session_options"));
    // Set only the size: the library must not read the fields after it.
    mpscnn_session_options options{};
    options.size = sizeof options.size;
    options.threads = -5;
    CHECK(succeeded(mpscnn_session_create(program, &options, &session)));
    mpscnn_session_release(session);
    options.size = 0;
    CHECK(refused(mpscnn_session_create(program, &options, &session), MPSCNN_ERROR_PARAMETER,
                  "sizeof(mpscnn_session_options)"));
    options.size = sizeof options;
    CHECK(refused(mpscnn_session_create(program, &options, &session), MPSCNN_ERROR_PARAMETER, "-5"));
    CHECK(refused(mpscnn_session_create(nullptr, nullptr, &session), MPSCNN_ERROR_PARAMETER, "program"));
    CHECK(refused(mpscnn_session_create(program, nullptr, nullptr), MPSCNN_ERROR_PARAMETER, "session"));
    mpscnn_program_release(program);
}

TEST(program_tells_its_ports) {
    mpscnn_program *program = classifier_program();
    const char *name = nullptr;
    std::int64_t shape[MPSCNN_MAX_RANK];
    int rank = 0;
    CHECK(std::string_view(mpscnn_program_device(program)) == "cpu");
    CHECK(std::string_view(mpscnn_program_warning(program)) == "");
    CHECK(mpscnn_program_input_count(program) == 1 && mpscnn_program_output_count(program) == 1);
    CHECK(succeeded(mpscnn_program_input(program, 0, &name, shape, &rank)));
    CHECK(std::string_view(name) == "image" && rank == 4 && shape[0] == -1 && shape[3] == 3);
    CHECK(succeeded(mpscnn_program_output(program, 0, &name, shape, &rank)));
    CHECK(std::string_view(name) == "logits" && rank == 2 && shape[1] == classes);
    CHECK(
        refused(mpscnn_program_input(program, 1, &name, shape, &rank), MPSCNN_ERROR_PARAMETER, "no input 1"));
    CHECK(refused(mpscnn_program_output(program, -1, &name, shape, &rank), MPSCNN_ERROR_PARAMETER, "-1"));
    CHECK(refused(mpscnn_program_input(program, 0, nullptr, shape, &rank), MPSCNN_ERROR_PARAMETER, "name"));
    mpscnn_text *text = nullptr;
    CHECK(succeeded(mpscnn_program_describe(program, &text)));
    CHECK(taken(text).find("\"precision\":\"float32\"") != std::string::npos);

    mpscnn_tensor input = floats(nullptr, {5, side, side, 3}), output{};
    std::size_t arena = 1;
    CHECK(succeeded(mpscnn_program_output_shapes(program, &input, 1, &output, 1, &arena)));
    CHECK(output.rank == 2 && output.shape[0] == 5 && output.shape[1] == classes);
    CHECK(refused(mpscnn_program_output_shapes(program, &input, 1, &output, 2, nullptr), MPSCNN_ERROR_SHAPE,
                  "2"));
    CHECK(refused(mpscnn_program_output_shapes(program, nullptr, 1, &output, 1, nullptr),
                  MPSCNN_ERROR_PARAMETER, "inputs"));
    CHECK(succeeded(mpscnn_program_explain(program, &input, 1, 1, &text)));
    CHECK(taken(text).find("\"threads\":1,") != std::string::npos);
    CHECK(refused(mpscnn_program_explain(program, &input, 1, -1, &text), MPSCNN_ERROR_PARAMETER, "-1"));
    CHECK(refused(mpscnn_program_explain(program, nullptr, 1, 1, &text), MPSCNN_ERROR_PARAMETER, "inputs"));
    CHECK(refused(mpscnn_program_explain(program, &input, 1, 1, nullptr), MPSCNN_ERROR_PARAMETER, "json"));
    input.shape[3] = 4;
    CHECK(refused(mpscnn_program_output_shapes(program, &input, 1, &output, 1, nullptr), MPSCNN_ERROR_SHAPE,
                  "3 feature channels, not 4"));
    mpscnn_program_release(program);
}

TEST(session_runs) {
    mpscnn_program *program = classifier_program();
    mpscnn_session *session = session_of(program);
    mpscnn_program_release(program); // the session keeps it alive
    std::vector<float> image(2 * image_floats);
    for (std::size_t i = 0; i < image.size(); ++i) image[i] = static_cast<float>(i % 3);
    float result[2 * classes];
    const mpscnn_tensor input = floats(image.data(), {2, side, side, 3}),
                        output = floats(result, {2, classes});
    CHECK(succeeded(mpscnn_session_run(session, &input, 1, &output, 1)));
    const float expected[] = {0, 10, 20, 0, 10, 20};
    CHECK(std::memcmp(result, expected, sizeof expected) == 0);
    mpscnn_session_release(session);
}

TEST(run_refuses_what_does_not_fit) {
    mpscnn_program *program = classifier_program();
    mpscnn_session *session = session_of(program);
    mpscnn_program_release(program);
    std::vector<float> image(image_floats + 8);
    float result[classes];
    const mpscnn_tensor input = floats(image.data(), {1, side, side, 3}),
                        output = floats(result, {1, classes});
    CHECK(refused(mpscnn_session_run(nullptr, &input, 1, &output, 1), MPSCNN_ERROR_PARAMETER, "session"));
    CHECK(refused(mpscnn_session_run(session, nullptr, 1, &output, 1), MPSCNN_ERROR_PARAMETER, "input"));
    CHECK(refused(mpscnn_session_run(session, &input, 1, nullptr, 1), MPSCNN_ERROR_PARAMETER, "output"));
    CHECK(refused(mpscnn_session_run(session, &input, -1, &output, 1), MPSCNN_ERROR_PARAMETER, "negative"));
    CHECK(refused(mpscnn_session_run(session, &input, 0, &output, 1), MPSCNN_ERROR_SHAPE, "1"));
    CHECK(refused(mpscnn_session_run(session, &input, 1, &output, 0), MPSCNN_ERROR_SHAPE, "1"));

    const auto with = [&](auto change) {
        mpscnn_tensor changed = input;
        change(changed);
        return mpscnn_session_run(session, &changed, 1, &output, 1);
    };
    using T = mpscnn_tensor;
    CHECK(refused(with([](T &t) { t.shape[3] = 4; }), MPSCNN_ERROR_SHAPE, "'image'"));
    CHECK(refused(with([](T &t) { t.rank = 3; }), MPSCNN_ERROR_SHAPE, "'image'"));
    CHECK(refused(with([](T &t) { t.rank = 7; }), MPSCNN_ERROR_SHAPE, "rank"));
    CHECK(refused(with([](T &t) { t.rank = -1; }), MPSCNN_ERROR_SHAPE, "rank"));
    CHECK(refused(with([](T &t) { t.shape[0] = 0; }), MPSCNN_ERROR_SHAPE, "batch"));
    CHECK(refused(with([](T &t) { t.shape[0] = -1; }), MPSCNN_ERROR_SHAPE, "negative"));
    CHECK(refused(with([](T &t) { t.shape[0] = 0, t.shape[1] = INT64_MAX; }), MPSCNN_ERROR_SHAPE,
                  "larger than any memory"));
    CHECK(refused(with([](T &t) { t.shape[0] = t.shape[1] = INT64_MAX; }), MPSCNN_ERROR_SHAPE,
                  "larger than any memory"));
    CHECK(refused(with([](T &t) { t.shape[0] = INT64_MAX / 192; }), MPSCNN_ERROR_SHAPE, "memory"));
    CHECK(refused(with([](T &t) { t.dtype = MPSCNN_UINT8; }), MPSCNN_ERROR_SHAPE, "uint8"));
    CHECK(refused(with([](T &t) { t.dtype = -1; }), MPSCNN_ERROR_PARAMETER, "dtype -1"));
    CHECK(refused(with([](T &t) { t.data = nullptr; }), MPSCNN_ERROR_PARAMETER, "memory"));
    CHECK(refused(with([](T &t) { t.data = static_cast<char *>(t.data) + 2; }), MPSCNN_ERROR_PARAMETER,
                  "aligned"));
    CHECK(refused(with([](T &t) { t.strides[3] = 3; }), MPSCNN_ERROR_PARAMETER, "aligned"));

    CHECK(refused(with([](T &t) { t.strides[0] = t.strides[1] = t.strides[2] = INT64_MAX - 3; }),
                  MPSCNN_ERROR_PARAMETER, "beyond the ends of memory"));
    CHECK(refused(with([](T &t) { std::fill_n(t.strides, 4, INT64_MIN / 8); }), MPSCNN_ERROR_PARAMETER,
                  "beyond the ends of memory"));
    CHECK(refused(with([](T &t) { std::fill_n(t.strides, 4, INT64_MAX / 32 * 4); }), MPSCNN_ERROR_PARAMETER,
                  "beyond the ends of memory"));

    mpscnn_tensor inside = floats(image.data() + 5, {1, classes});
    CHECK(refused(mpscnn_session_run(session, &input, 1, &inside, 1), MPSCNN_ERROR_PARAMETER, "overlaps"));
    inside = floats(result, {1, classes + 1});
    CHECK(refused(mpscnn_session_run(session, &input, 1, &inside, 1), MPSCNN_ERROR_SHAPE, "'logits'"));
    // The session is still usable after the refusals.
    CHECK(succeeded(mpscnn_session_run(session, &input, 1, &output, 1)));
    mpscnn_session_release(session);
}

TEST(memory_has_a_limit) {
    mpscnn_graph *graph = classifier_graph();
    mpscnn_compile_options limits{};
    limits.size = sizeof limits;
    limits.max_memory = 50'000;
    mpscnn_program *program = nullptr;
    CHECK(succeeded(mpscnn_program_compile(graph, &limits, &program)));
    const std::vector<float> image(100 * image_floats);
    std::vector<float> result(100 * classes);
    const mpscnn_tensor input = floats(image.data(), {100, side, side, 3}),
                        output = floats(result.data(), {100, classes}),
                        one = floats(image.data(), {1, side, side, 3}),
                        one_output = floats(result.data(), {1, classes});
    mpscnn_session *session = session_of(program);
    CHECK(refused(mpscnn_session_run(session, &input, 1, &output, 1), MPSCNN_ERROR_SHAPE,
                  "max_memory allows 50000"));
    CHECK(succeeded(mpscnn_session_run(session, &one, 1, &one_output, 1)));
    mpscnn_session_release(session);
    mpscnn_session_options less{};
    less.size = sizeof less;
    less.max_memory = 500;
    CHECK(succeeded(mpscnn_session_create(program, &less, &session)));
    CHECK(refused(mpscnn_session_run(session, &one, 1, &one_output, 1), MPSCNN_ERROR_SHAPE,
                  "max_memory allows 500"));
    mpscnn_session_release(session);
    mpscnn_program_release(program);
    limits.max_memory = 10;
    CHECK(refused(mpscnn_program_compile(graph, &limits, &program), MPSCNN_ERROR_SHAPE,
                  "max_memory allows 10"));
    for (const std::size_t nonsense : {SIZE_MAX / 8 * 8, std::size_t{1} << 40, sizeof limits + 4096}) {
        limits.size = nonsense;
        CHECK(refused(mpscnn_program_compile(graph, &limits, &program), MPSCNN_ERROR_PARAMETER,
                      "options.size must be sizeof(mpscnn_compile_options)"));
    }
    // An older caller's struct ends before this field.
    limits.size = offsetof(mpscnn_compile_options, max_memory);
    CHECK(succeeded(mpscnn_program_compile(graph, &limits, &program)));
    mpscnn_program_release(program);
    mpscnn_graph_release(graph);
}

/// A convolution that gains by Winograd's algorithm.
mpscnn_graph *convolution_graph() {
    mpscnn_graph *graph = nullptr;
    CHECK(succeeded(mpscnn_graph_create("convolution", &graph)));
    const std::int64_t shape[] = {-1, 24, 24, 32};
    int value = 0;
    CHECK(succeeded(mpscnn_graph_add_input(graph, "image", shape, 4, &value)));
    CHECK(succeeded(mpscnn_graph_add_node(
        graph, "convolution", "conv", &value, 1,
        R"({"output_channels": 32, "kernel_height": 3, "kernel_width": 3, "padding": "same"})", nullptr,
        &value)));
    CHECK(succeeded(mpscnn_graph_mark_output(graph, value)));
    const std::vector<float> weight(32 * 9 * 32, 0.5f);
    const mpscnn_tensor tensor = floats(weight.data(), {32, 3, 3, 32});
    CHECK(succeeded(mpscnn_graph_set_weight(graph, "conv", "weight", &tensor, nullptr, nullptr, 0)));
    return graph;
}

/// Return the description and the explanation of a program, which is released.
std::string told(mpscnn_program *program) {
    mpscnn_text *text = nullptr;
    CHECK(succeeded(mpscnn_program_describe(program, &text)));
    const std::string description = taken(text);
    const mpscnn_tensor input = floats(nullptr, {1, 24, 24, 32});
    CHECK(succeeded(mpscnn_program_explain(program, &input, 1, 1, &text)));
    mpscnn_program_release(program);
    return description + taken(text);
}

TEST(winograd_may_be_left_out) {
    mpscnn_graph *graph = convolution_graph();
    mpscnn_program *program = nullptr;
    CHECK(succeeded(mpscnn_program_compile(graph, nullptr, &program)));
    // The baseline has no kernels for Winograd's algorithm.
    const bool has_kernel = told(program).find("Winograd: ") != std::string::npos;
    mpscnn_compile_options options{};
    options.device = "cpu";
    // An older caller's struct ends before `no_winograd`.
    const std::size_t sizes[] = {sizeof options, offsetof(mpscnn_compile_options, no_winograd)};
    for (const std::size_t size : sizes)
        for (const int without : {0, 1}) {
            options.size = size;
            options.no_winograd = without;
            const bool expected = without == 0 || size < sizeof options;
            CHECK(succeeded(mpscnn_program_compile(graph, &options, &program)));
            const std::string text = told(program);
            const char *const stated = expected ? R"("winograd":true)" : R"("winograd":false)";
            CHECK(text.find(stated) != std::string::npos);
            CHECK((text.find("Winograd: ") != std::string::npos) == (expected && has_kernel));
        }
    mpscnn_graph_release(graph);
}

TEST(tables_of_wide_results_count) {
    mpscnn_graph *graph = nullptr;
    CHECK(succeeded(mpscnn_graph_create("wide", &graph)));
    const std::int64_t shape[] = {-1, 1, 1 << 22, 1};
    int value = 0;
    CHECK(succeeded(mpscnn_graph_add_input(graph, "x", shape, 4, &value)));
    for (const char *name : {"a", "b", "c"})
        CHECK(succeeded(mpscnn_graph_add_node(
            graph, "pooling", name, &value, 1,
            R"({"kind": "max", "kernel_height": 1, "kernel_width": 3, "padding": "same"})", nullptr,
            &value)));
    CHECK(succeeded(mpscnn_graph_mark_output(graph, value)));
    mpscnn_compile_options limits{};
    limits.size = sizeof limits;
    // The arena takes 50 MB; tables of 48 bytes for each column would take 600 MB.
    limits.max_memory = 100 << 20;
    mpscnn_program *program = nullptr;
    CHECK(succeeded(mpscnn_program_compile(graph, &limits, &program)));
    const mpscnn_tensor input = floats(nullptr, {1, 1, 1 << 22, 1});
    mpscnn_tensor output{};
    CHECK(refused(mpscnn_program_output_shapes(program, &input, 1, &output, 1, nullptr), MPSCNN_ERROR_SHAPE,
                  "network 'wide': tables of kernels take more than"));
    mpscnn_program_release(program);
    mpscnn_graph_release(graph);
}

TEST(session_serves_one_caller_at_a_time) {
    mpscnn_program *program = classifier_program();
    mpscnn_session *session = session_of(program);
    mpscnn_program_release(program);
    constexpr std::int64_t batch = 4096; // long enough that the other thread calls during the run
    const std::vector<float> image(batch * image_floats, 1.0f);
    std::atomic<int> finished{0}, refusals{0}, others{0};
    const auto caller = [&] {
        std::vector<float> result(batch * classes);
        const mpscnn_tensor input = floats(image.data(), {batch, side, side, 3}),
                            output = floats(result.data(), {batch, classes});
        for (int i = 0; i < 2000 && refusals == 0; ++i) {
            const mpscnn_status status = mpscnn_session_run(session, &input, 1, &output, 1);
            ++(status == MPSCNN_OK ? finished : status == MPSCNN_ERROR_STATE ? refusals : others);
        }
    };
    std::thread first(caller), second(caller);
    first.join();
    second.join();
    CHECK(finished > 0);
    CHECK(refusals > 0);
    CHECK(others == 0);
    mpscnn_session_release(session);
}

TEST(threads_with_their_own_sessions_get_the_same_result) {
    mpscnn_program *program = classifier_program();
    std::vector<float> image(image_floats);
    for (std::size_t i = 0; i < image.size(); ++i) image[i] = std::sin(static_cast<float>(i));
    std::vector<float> results[2] = {std::vector<float>(classes), std::vector<float>(classes)};
    std::atomic<int> failures{0};
    const auto caller = [&](std::vector<float> &result) {
        mpscnn_session *session = session_of(program);
        const mpscnn_tensor input = floats(image.data(), {1, side, side, 3}),
                            output = floats(result.data(), {1, classes});
        for (int i = 0; i < 100; ++i)
            if (mpscnn_session_run(session, &input, 1, &output, 1) != MPSCNN_OK) ++failures;
        mpscnn_session_release(session);
    };
    std::thread other(caller, std::ref(results[1]));
    caller(results[0]);
    other.join();
    CHECK(failures == 0);
    CHECK(results[0] == results[1] && std::isfinite(results[0][0]) && results[0][0] != 0.0f);
    mpscnn_program_release(program);
}

TEST(models_are_read_and_damaged_ones_refused) {
    const std::string bytes = model_bytes();
    mpscnn_model *model = parsed(bytes);
    mpscnn_text *text = nullptr;
    CHECK(succeeded(mpscnn_model_describe(model, &text)));
    const std::string description = taken(text);
    CHECK(description.find(R"("labels":["red","green","blue"])") != std::string::npos);
    CHECK(description.find(R"("crop_fraction":1.0)") != std::string::npos);
    mpscnn_model_release(model);

    model = nullptr;
    const auto parse = [&](const std::string &data) {
        return mpscnn_model_parse(data.data(), data.size(), "some file", &model);
    };
    for (std::size_t size = 0; size < bytes.size(); ++size) {
        const mpscnn_status status = parse(bytes.substr(0, size));
        if (status == MPSCNN_ERROR_WEIGHTS && std::string(mpscnn_last_error()).find("some file") == 0)
            continue;
        CHECK(refused(status, MPSCNN_ERROR_WEIGHTS, "some file"));
    }
    CHECK(refused(parse(model_bytes(R"(\"sepia\")")), MPSCNN_ERROR_WEIGHTS, "sepia"));
    CHECK(refused(parse(model_bytes(R"(\"unit\")", R"([1])")), MPSCNN_ERROR_WEIGHTS, "mpscnn.labels"));
    CHECK(refused(parse(model_bytes(R"(\"unit\")", R"([\"one\"])")), MPSCNN_ERROR_WEIGHTS, "1 labels"));
    CHECK(refused(mpscnn_model_load("/nonexistent/model.safetensors", &model), MPSCNN_ERROR_WEIGHTS,
                  "nonexistent"));
    CHECK(refused(mpscnn_model_check("/nonexistent/model.safetensors"), MPSCNN_ERROR_WEIGHTS, "nonexistent"));
    CHECK(refused(mpscnn_model_load(nullptr, &model), MPSCNN_ERROR_PARAMETER, "path"));
    CHECK(refused(mpscnn_model_check(nullptr), MPSCNN_ERROR_PARAMETER, "path"));
    CHECK(refused(mpscnn_model_load("x", nullptr), MPSCNN_ERROR_PARAMETER, "model"));
    CHECK(refused(mpscnn_model_parse(nullptr, 1, "x", &model), MPSCNN_ERROR_PARAMETER, "data"));
    CHECK(refused(mpscnn_model_parse(bytes.data(), bytes.size(), nullptr, &model), MPSCNN_ERROR_PARAMETER,
                  "origin"));
    CHECK(refused(mpscnn_model_describe(nullptr, &text), MPSCNN_ERROR_PARAMETER, "model"));
    CHECK(model == nullptr);
}

TEST(classify_ranks_the_classes) {
    mpscnn_model *model = parsed(model_bytes());
    mpscnn_program *program = classifier_program();
    mpscnn_session *session = session_of(program);
    const Photo photo(51, 255, 51); // 0.2, 1, 0.2: logits 2, 10, 2
    mpscnn_predictions *predictions = nullptr;
    CHECK(succeeded(mpscnn_model_classify(model, session, &photo.image, 0, &predictions)));
    CHECK(mpscnn_predictions_count(predictions) == classes);
    mpscnn_prediction best{}, second{}, third{};
    CHECK(succeeded(mpscnn_predictions_get(predictions, 0, &best)));
    CHECK(succeeded(mpscnn_predictions_get(predictions, 1, &second)));
    CHECK(succeeded(mpscnn_predictions_get(predictions, 2, &third)));
    CHECK(std::string_view(best.label) == "green" && best.index == 1);
    CHECK(std::fabs(best.probability - 1.0 / (1.0 + 2.0 * std::exp(-8.0))) < 1e-6);
    CHECK(second.probability == third.probability && second.index == 0 && third.index == 2);
    CHECK(refused(mpscnn_predictions_get(predictions, 3, &best), MPSCNN_ERROR_PARAMETER, "0 to 2"));
    CHECK(refused(mpscnn_predictions_get(predictions, 0, nullptr), MPSCNN_ERROR_PARAMETER, "prediction"));
    mpscnn_predictions_release(predictions);

    CHECK(succeeded(mpscnn_model_classify(model, session, &photo.image, 1, &predictions)));
    CHECK(mpscnn_predictions_count(predictions) == 1);
    mpscnn_predictions_release(predictions);
    CHECK(refused(mpscnn_model_classify(model, session, &photo.image, -1, &predictions),
                  MPSCNN_ERROR_PARAMETER, "top"));
    CHECK(refused(mpscnn_model_classify(model, nullptr, &photo.image, 1, &predictions),
                  MPSCNN_ERROR_PARAMETER, "session"));
    CHECK(refused(mpscnn_model_classify(model, session, nullptr, 1, &predictions), MPSCNN_ERROR_PARAMETER,
                  "image"));
    CHECK(refused(mpscnn_model_classify(model, session, &photo.image, 1, nullptr), MPSCNN_ERROR_PARAMETER,
                  "predictions"));
    mpscnn_image broken = photo.image;
    broken.format = 99;
    CHECK(refused(mpscnn_model_classify(model, session, &broken, 1, &predictions), MPSCNN_ERROR_PARAMETER,
                  "format"));
    broken = photo.image;
    broken.pixels = nullptr;
    CHECK(refused(mpscnn_model_classify(model, session, &broken, 1, &predictions), MPSCNN_ERROR_PARAMETER,
                  "pixels"));
    broken = photo.image;
    broken.width = 0;
    CHECK(
        refused(mpscnn_model_classify(model, session, &broken, 1, &predictions), MPSCNN_ERROR_SHAPE, "0x10"));
    mpscnn_model_release(model);

    model = parsed(model_bytes(R"(\"unit\")", R"([])"));
    CHECK(succeeded(mpscnn_model_classify(model, session, &photo.image, 1, &predictions)));
    CHECK(succeeded(mpscnn_predictions_get(predictions, 0, &best)));
    CHECK(std::string_view(best.label) == "class 1");
    mpscnn_predictions_release(predictions);
    mpscnn_model_release(model);

    mpscnn_session_release(session);
    mpscnn_program_release(program);
}

/// Return the prediction of the class "green" from logits 2, 10, 2, and check what the predictions say they
/// are.
float green_score(const mpscnn_model *model, mpscnn_session *session, const char *scores) {
    const Photo photo(51, 255, 51);
    mpscnn_predictions *predictions = nullptr;
    mpscnn_prediction best{};
    CHECK(succeeded(mpscnn_model_classify(model, session, &photo.image, 1, &predictions)));
    CHECK(succeeded(mpscnn_predictions_get(predictions, 0, &best)));
    CHECK(std::string_view(mpscnn_predictions_scores(predictions)) == scores);
    mpscnn_predictions_release(predictions);
    return best.probability;
}

TEST(models_state_what_their_scores_are) {
    mpscnn_model *model = parsed(model_bytes());
    mpscnn_program *program = classifier_program();
    mpscnn_session *session = session_of(program);
    const double softmax = 1.0 / (1.0 + 2.0 * std::exp(-8.0)), sigmoid = 1.0 / (1.0 + std::exp(-10.0));
    CHECK(std::fabs(green_score(model, session, "softmax") - softmax) < 1e-6);
    CHECK(succeeded(mpscnn_model_set_scores(model, "as is")));
    CHECK(std::fabs(green_score(model, session, "as is") - 10.0) < 1e-5);
    CHECK(succeeded(mpscnn_model_set_scores(model, "sigmoid")));
    CHECK(std::fabs(green_score(model, session, "sigmoid") - sigmoid) < 1e-6);

    // A file keeps what the model states.
    mpscnn_text *content = nullptr, *about = nullptr;
    CHECK(succeeded(mpscnn_model_content(model, &content)));
    mpscnn_model *again = parsed({mpscnn_text_data(content), mpscnn_text_size(content)});
    CHECK(std::fabs(green_score(again, session, "sigmoid") - sigmoid) < 1e-6);
    CHECK(succeeded(mpscnn_model_describe(again, &about)));
    CHECK(std::string_view(mpscnn_text_data(about)).find(R"("scores":"sigmoid")") != std::string_view::npos);
    CHECK(succeeded(mpscnn_model_set_scores(again, nullptr)));
    CHECK(std::fabs(green_score(again, session, "softmax") - softmax) < 1e-6);

    CHECK(refused(mpscnn_model_set_scores(model, "logits"), MPSCNN_ERROR_PARAMETER, "'logits'"));
    CHECK(refused(mpscnn_model_set_scores(nullptr, "softmax"), MPSCNN_ERROR_PARAMETER, "model"));
    CHECK(std::string_view(mpscnn_predictions_scores(nullptr)).empty());
    mpscnn_text_release(content);
    mpscnn_text_release(about);
    mpscnn_model_release(again);
    mpscnn_model_release(model);
    mpscnn_session_release(session);
    mpscnn_program_release(program);
}

TEST(graphs_name_the_function_of_their_output) {
    mpscnn_graph *graph = nullptr;
    const std::int64_t shape[] = {-1, 3};
    int input = 0, value = 0;
    const char *scores = nullptr;
    CHECK(succeeded(mpscnn_graph_create("ends", &graph)));
    CHECK(succeeded(mpscnn_graph_add_input(graph, "input", shape, 2, &input)));
    CHECK(succeeded(
        mpscnn_graph_add_node(graph, "neuron", "end", &input, 1, R"({"kind":"sigmoid"})", nullptr, &value)));
    CHECK(succeeded(mpscnn_graph_scores(graph, &scores)) && !scores); // it has no output yet
    CHECK(succeeded(mpscnn_graph_mark_output(graph, value)));
    CHECK(succeeded(mpscnn_graph_scores(graph, &scores)) && std::string_view(scores) == "sigmoid");
    CHECK(succeeded(mpscnn_graph_mark_output(graph, input)));
    CHECK(succeeded(mpscnn_graph_scores(graph, &scores)) && !scores);
    CHECK(refused(mpscnn_graph_scores(nullptr, &scores), MPSCNN_ERROR_PARAMETER, "graph"));
    CHECK(refused(mpscnn_graph_scores(graph, nullptr), MPSCNN_ERROR_PARAMETER, "scores"));
    mpscnn_graph_release(graph);
}

TEST(infinite_logits_are_not_ranked) {
    mpscnn_graph *graph = classifier_graph();
    const std::vector<float> weight(9, 3e38f);
    const mpscnn_tensor tensor = floats(weight.data(), {classes, 1, 1, 3});
    CHECK(succeeded(mpscnn_graph_set_weight(graph, "logits", "weight", &tensor, nullptr, nullptr, 0)));
    mpscnn_program *program = nullptr;
    CHECK(succeeded(mpscnn_program_compile(graph, nullptr, &program)));
    mpscnn_graph_release(graph);
    mpscnn_session *session = session_of(program);
    mpscnn_model *model = parsed(model_bytes());
    const Photo photo(255, 255, 255);
    mpscnn_predictions *predictions = nullptr;
    CHECK(refused(mpscnn_model_classify(model, session, &photo.image, 1, &predictions),
                  MPSCNN_ERROR_PARAMETER, "cannot be ranked"));
    // The order of releases does not matter: a session keeps its program alive.
    mpscnn_program_release(program);
    mpscnn_model_release(model);
    mpscnn_session_release(session);
}

TEST(photos_are_preprocessed) {
    const Photo photo(255, 0, 51, 4, 2);
    std::vector<float> output(2 * 2 * 3);
    CHECK(succeeded(mpscnn_preprocess(&photo.image, "\"unit\"", 2, 2, 3, output.data())));
    CHECK(std::fabs(output[0] - 1.0f) < 1e-6f && output[1] == 0.0f && std::fabs(output[2] - 0.2f) < 1e-6f);
    mpscnn_text *text = nullptr;
    CHECK(succeeded(mpscnn_preprocess_describe("\"unit\"", 1, &text)));
    CHECK(taken(text).find(R"("order":"gray")") != std::string::npos);
    CHECK(refused(mpscnn_preprocess(nullptr, "\"unit\"", 2, 2, 3, output.data()), MPSCNN_ERROR_PARAMETER,
                  "image"));
    CHECK(refused(mpscnn_preprocess(&photo.image, nullptr, 2, 2, 3, output.data()), MPSCNN_ERROR_PARAMETER,
                  "preprocess"));
    CHECK(refused(mpscnn_preprocess(&photo.image, "\"unit\"", 2, 2, 3, nullptr), MPSCNN_ERROR_PARAMETER,
                  "output"));
    CHECK(refused(mpscnn_preprocess(&photo.image, "\"unit\"", 0, 2, 3, output.data()), MPSCNN_ERROR_SHAPE,
                  "0"));
    CHECK(
        refused(mpscnn_preprocess(&photo.image, "unit", 2, 2, 3, output.data()), MPSCNN_ERROR_PARAMETER, ""));
    CHECK(refused(mpscnn_preprocess_describe("{\"blur\": 1}", 3, &text), MPSCNN_ERROR_PARAMETER, "blur"));
    CHECK(refused(mpscnn_preprocess_describe("\"unit\"", 3, nullptr), MPSCNN_ERROR_PARAMETER, "json"));
}

TEST(yuv_photos_are_preprocessed) {
    const std::vector<std::uint8_t> luma(4 * 2, 81), blue(2, 90), red(2, 240), pairs{90, 240, 90, 240};
    mpscnn_chroma chroma{};
    chroma.size = sizeof chroma;
    chroma.blue = blue.data();
    chroma.red = red.data();
    mpscnn_image image{};
    image.pixels = luma.data();
    image.width = 4;
    image.height = 2;
    image.format = MPSCNN_I420;
    image.chroma = &chroma;
    std::vector<float> output(3), same(3);
    const auto run = [&] { return mpscnn_preprocess(&image, "\"none\"", 1, 1, 3, output.data()); };
    CHECK(succeeded(run()));
    CHECK(output[0] > 254.0f && output[1] < 1.0f && output[2] < 1.0f); // red by BT.601
    image.format = MPSCNN_NV12;
    chroma.blue = pairs.data();
    chroma.red = nullptr;
    same = output;
    CHECK(succeeded(run()));
    CHECK(output == same);
    chroma.matrix = MPSCNN_BT709;
    CHECK(succeeded(run()));
    CHECK(output != same);

    chroma.row_bytes = 3;
    CHECK(refused(run(), MPSCNN_ERROR_SHAPE, "a row of 2 pixels takes 4"));
    chroma.row_bytes = 0;
    chroma.range = 2;
    CHECK(refused(run(), MPSCNN_ERROR_PARAMETER, "range number 2"));
    chroma.size = 0;
    CHECK(refused(run(), MPSCNN_ERROR_PARAMETER, "sizeof(mpscnn_chroma)"));
    image.chroma = nullptr;
    CHECK(refused(run(), MPSCNN_ERROR_PARAMETER, "chroma of a photo of nv12"));

    // An older caller's struct ends before `chroma`, and other data follows.
    image.format = MPSCNN_GRAY8;
    image.chroma = reinterpret_cast<const mpscnn_chroma *>(std::uintptr_t{8});
    CHECK(succeeded(run()));
    CHECK(output[0] == 81.0f);
}
