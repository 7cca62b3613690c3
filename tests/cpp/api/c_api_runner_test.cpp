// The runner of the C interface.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tests/cpp/c_api.h"

using namespace c_api_test;

namespace {

constexpr std::size_t image_floats = std::size_t{side} * side * 3;

/// The arguments that a handler received.
struct Received {
    int times = 0;
    mpscnn_status status = MPSCNN_ERROR_INTERNAL;
    std::string message;
    std::vector<int> *order = nullptr;
    int number = 0;
};

void tell(mpscnn_status status, const char *message, void *context) {
    auto &received = *static_cast<Received *>(context);
    ++received.times;
    received.status = status;
    received.message = message;
    if (received.order) received.order->push_back(received.number);
}

mpscnn_runner *runner_of(mpscnn_program *program, int max_batch = 0, double max_wait = 0) {
    mpscnn_runner_options options{};
    options.size = sizeof options;
    options.inflight = 4;
    options.max_batch = max_batch;
    options.max_wait = max_wait;
    mpscnn_runner *runner = nullptr;
    CHECK(succeeded(mpscnn_runner_create(program, &options, &runner)));
    return runner;
}

struct Shot {
    std::vector<float> image = std::vector<float>(image_floats);
    float result[classes] = {};
    mpscnn_tensor input = floats(image.data(), {1, side, side, 3}), output = floats(result, {1, classes});
    Received received;

    explicit Shot(float value) { image.assign(image_floats, value); }
    Shot(const Shot &) = delete;
    Shot &operator=(const Shot &) = delete;
};

} // namespace

TEST(frames_are_handed_out_in_order) {
    mpscnn_program *program = classifier_program();
    mpscnn_runner *runner = runner_of(program, 3, 0.001);
    mpscnn_program_release(program); // the runner keeps it alive
    std::vector<int> order;
    std::vector<std::unique_ptr<Shot>> shots;
    for (int i = 0; i < 200; ++i) {
        Shot &shot = *shots.emplace_back(std::make_unique<Shot>(static_cast<float>(i)));
        shot.received.order = &order;
        shot.received.number = i;
        const auto submit = i % 3 == 0 ? mpscnn_runner_submit_brief : mpscnn_runner_submit;
        CHECK(succeeded(submit(runner, &shot.input, 1, &shot.output, 1, tell, &shot.received, nullptr)));
    }
    Received marked;
    CHECK(succeeded(mpscnn_runner_mark(runner, tell, &marked)));
    CHECK(succeeded(mpscnn_runner_wait(runner)));
    CHECK(order.size() == 200 && std::is_sorted(order.begin(), order.end()));
    CHECK(marked.times == 1 && marked.status == MPSCNN_OK && marked.message.empty());
    for (int i = 0; i < 200; ++i) {
        const Shot &shot = *shots[static_cast<std::size_t>(i)];
        CHECK(shot.received.times == 1 && shot.received.status == MPSCNN_OK);
        CHECK(shot.result[0] == 10.0f * static_cast<float>(i));
    }
    mpscnn_runner_release(runner);
}

TEST(photos_are_classified_as_by_the_model) {
    mpscnn_program *program = classifier_program();
    mpscnn_session *session = session_of(program);
    mpscnn_model *model = parsed(model_bytes());
    mpscnn_runner *runner = runner_of(program, 2, 0.001);
    const std::vector<std::uint8_t> pixels{10, 200, 30, 250, 0, 40};
    mpscnn_image photo{};
    photo.pixels = pixels.data();
    photo.width = 2;
    photo.height = 1;
    photo.format = MPSCNN_RGB8;
    float results[2][classes];
    Received received[2];
    for (int i = 0; i < 2; ++i) {
        const mpscnn_tensor output = floats(results[i], {1, classes});
        CHECK(succeeded(
            mpscnn_runner_submit_image(runner, model, &photo, &output, 1, tell, &received[i], nullptr)));
    }
    CHECK(succeeded(mpscnn_runner_wait(runner)));
    mpscnn_predictions *expected = nullptr;
    CHECK(succeeded(mpscnn_model_classify(model, session, &photo, 0, &expected)));
    for (int i = 0; i < 2; ++i) {
        CHECK(received[i].status == MPSCNN_OK);
        const mpscnn_tensor output = floats(results[i], {1, classes});
        mpscnn_predictions *ranked = nullptr;
        CHECK(succeeded(mpscnn_model_rank(model, program, &output, 0, &ranked)));
        CHECK(mpscnn_predictions_count(ranked) == classes);
        for (int rank = 0; rank < classes; ++rank) {
            mpscnn_prediction a{}, b{};
            CHECK(succeeded(mpscnn_predictions_get(expected, rank, &a)));
            CHECK(succeeded(mpscnn_predictions_get(ranked, rank, &b)));
            CHECK(a.index == b.index && a.probability == b.probability);
        }
        mpscnn_predictions_release(ranked);
    }
    // The runner ranks classes as well; the result exists when the handler is called.
    mpscnn_predictions *best = nullptr;
    Received ranked;
    CHECK(succeeded(mpscnn_runner_classify(runner, model, &photo, 1, &best, tell, &ranked, nullptr)));
    CHECK(succeeded(mpscnn_runner_wait(runner)));
    CHECK(ranked.times == 1 && ranked.status == MPSCNN_OK && mpscnn_predictions_count(best) == 1);
    mpscnn_prediction a{}, b{};
    CHECK(succeeded(mpscnn_predictions_get(expected, 0, &a)));
    CHECK(succeeded(mpscnn_predictions_get(best, 0, &b)));
    CHECK(a.index == b.index && a.probability == b.probability);
    mpscnn_predictions_release(best);
    // It also preprocesses with the caller's options.
    const mpscnn_tensor first = floats(results[0], {1, classes}), second = floats(results[1], {1, classes});
    CHECK(succeeded(
        mpscnn_runner_submit_photo(runner, &photo, R"("unit")", &first, 1, tell, &received[0], nullptr)));
    CHECK(succeeded(mpscnn_runner_submit_photo(runner, &photo, R"("tensorflow")", &second, 1, tell,
                                               &received[1], nullptr)));
    CHECK(succeeded(mpscnn_runner_wait(runner)));
    for (int i = 0; i < classes; ++i)
        CHECK(std::fabs(results[1][i] - (2.0f * results[0][i] - 10.0f)) < 1e-4f);
    CHECK(refused(mpscnn_runner_submit_photo(runner, &photo, "{", &first, 1, tell, &received[0], nullptr),
                  MPSCNN_ERROR_PARAMETER, "JSON"));
    CHECK(refused(mpscnn_runner_submit_photo(runner, &photo, nullptr, &first, 1, tell, &received[0], nullptr),
                  MPSCNN_ERROR_PARAMETER, "preprocess"));
    mpscnn_predictions_release(expected);
    received[0].times = 1;

    photo.width = 0; // an invalid photo fails only itself
    const mpscnn_tensor output = floats(results[0], {1, classes});
    CHECK(succeeded(
        mpscnn_runner_submit_image(runner, model, &photo, &output, 1, tell, &received[0], nullptr)));
    CHECK(succeeded(mpscnn_runner_wait(runner)));
    CHECK(received[0].times == 2 && received[0].status != MPSCNN_OK && !received[0].message.empty());
    mpscnn_runner_release(runner);
    mpscnn_model_release(model);
    mpscnn_session_release(session);
    mpscnn_program_release(program);
}

TEST(runners_refuse_what_does_not_fit) {
    mpscnn_program *program = classifier_program();
    mpscnn_runner *runner = nullptr;
    mpscnn_runner_options options{};
    const auto refuses = [&](auto change, const char *part) {
        options = {};
        options.size = sizeof options;
        change(options);
        return refused(mpscnn_runner_create(program, &options, &runner), MPSCNN_ERROR_PARAMETER, part);
    };
    using Options = mpscnn_runner_options;
    CHECK(refuses([](Options &o) { o.inflight = 33; }, "inflight must be 0 (automatic) to 32, got 33"));
    CHECK(refuses([](Options &o) { o.inflight = -1; }, "inflight"));
    CHECK(refuses([](Options &o) { o.threads = 1025; }, "threads"));
    CHECK(refuses([](Options &o) { o.max_batch = 1025; }, "max_batch must be 0 (automatic) to 1024"));
    CHECK(refuses([](Options &o) { o.max_wait = -1; }, "max_wait must be 0 to 1e6 seconds"));
    CHECK(refuses([](Options &o) { o.max_wait = 1e7; }, "max_wait"));
    CHECK(refuses([](Options &o) { o.size = 3; }, "sizeof(mpscnn_runner_options)"));
    CHECK(refused(mpscnn_runner_create(nullptr, nullptr, &runner), MPSCNN_ERROR_PARAMETER, "program"));
    CHECK(refused(mpscnn_runner_create(program, nullptr, nullptr), MPSCNN_ERROR_PARAMETER, "runner"));
    CHECK(runner == nullptr);

    runner = runner_of(program);
    Shot shot(1);
    int cancelled = 7;
    mpscnn_text *text = nullptr;
    mpscnn_image photo{};
    std::string bytes = model_bytes();
    const std::string preprocess = R"("mpscnn.preprocess": "\"unit\"",)";
    bytes.replace(bytes.find(preprocess), preprocess.size(), preprocess.size(), ' ');
    mpscnn_model *plain = parsed(bytes); // without preprocessing
    const auto submit = [&](const mpscnn_tensor *input, mpscnn_frame_handler handler) {
        return mpscnn_runner_submit(runner, input, 1, &shot.output, 1, handler, &shot.received, nullptr);
    };
    CHECK(refused(submit(nullptr, tell), MPSCNN_ERROR_PARAMETER, "input"));
    CHECK(refused(submit(&shot.input, nullptr), MPSCNN_ERROR_PARAMETER, "handler"));
    CHECK(refused(
        mpscnn_runner_submit_brief(runner, &shot.input, 1, &shot.output, 1, nullptr, nullptr, nullptr),
        MPSCNN_ERROR_PARAMETER, "handler"));
    CHECK(refused(submit(&shot.output, tell), MPSCNN_ERROR_SHAPE, "'image'"));
    CHECK(refused(mpscnn_runner_submit(nullptr, &shot.input, 1, &shot.output, 1, tell, nullptr, nullptr),
                  MPSCNN_ERROR_PARAMETER, "runner"));
    CHECK(
        refused(mpscnn_runner_submit_image(runner, nullptr, &photo, &shot.output, 1, tell, nullptr, nullptr),
                MPSCNN_ERROR_PARAMETER, "model"));
    CHECK(refused(mpscnn_runner_submit_image(runner, plain, nullptr, &shot.output, 1, tell, nullptr, nullptr),
                  MPSCNN_ERROR_PARAMETER, "image"));
    CHECK(refused(mpscnn_runner_submit_image(runner, plain, &photo, &shot.output, 1, tell, nullptr, nullptr),
                  MPSCNN_ERROR_UNSUPPORTED, "mpscnn.preprocess"));
    mpscnn_predictions *predictions = nullptr;
    mpscnn_detections *detections = nullptr;
    std::uint8_t label = 9;
    mpscnn_model *tiny = parsed(model_bytes());
    const auto classify = [&](const mpscnn_model *model, int top, mpscnn_predictions **into) {
        return mpscnn_runner_classify(runner, model, &photo, top, into, tell, nullptr, nullptr);
    };
    CHECK(refused(classify(nullptr, 0, &predictions), MPSCNN_ERROR_PARAMETER, "model"));
    CHECK(refused(classify(tiny, 0, nullptr), MPSCNN_ERROR_PARAMETER, "predictions"));
    CHECK(refused(classify(tiny, -1, &predictions), MPSCNN_ERROR_PARAMETER, "top must be at least 0"));
    CHECK(refused(classify(plain, 0, &predictions), MPSCNN_ERROR_UNSUPPORTED, "mpscnn.preprocess"));
    CHECK(refused(mpscnn_runner_detect(runner, tiny, &photo, nullptr, &detections, tell, nullptr, nullptr),
                  MPSCNN_ERROR_UNSUPPORTED, "is not a detector"));
    CHECK(refused(mpscnn_runner_detect(runner, tiny, &photo, nullptr, nullptr, tell, nullptr, nullptr),
                  MPSCNN_ERROR_PARAMETER, "detections"));
    CHECK(refused(mpscnn_runner_segment(runner, tiny, &photo, &label, nullptr, 0, tell, nullptr, nullptr),
                  MPSCNN_ERROR_SHAPE, "is not a segmenter"));
    CHECK(refused(mpscnn_runner_segment(runner, tiny, &photo, nullptr, nullptr, 0, tell, nullptr, nullptr),
                  MPSCNN_ERROR_PARAMETER, "labels"));
    CHECK(!predictions && !detections && label == 9);
    mpscnn_model_release(tiny);
    CHECK(refused(mpscnn_runner_mark(runner, nullptr, nullptr), MPSCNN_ERROR_PARAMETER, "handler"));
    CHECK(refused(mpscnn_runner_cancel(runner, 0, nullptr), MPSCNN_ERROR_PARAMETER, "cancelled"));
    CHECK(refused(mpscnn_runner_describe(nullptr, &text), MPSCNN_ERROR_PARAMETER, "runner"));
    CHECK(refused(mpscnn_runner_wait(nullptr), MPSCNN_ERROR_PARAMETER, "runner"));
    CHECK(refused(mpscnn_runner_close(nullptr, 0), MPSCNN_ERROR_PARAMETER, "runner"));
    CHECK(shot.received.times == 0);
    CHECK(succeeded(mpscnn_runner_cancel(runner, 5, &cancelled)));
    CHECK(cancelled == 0);
    CHECK(succeeded(submit(&shot.input, tell)));
    CHECK(succeeded(mpscnn_runner_close(runner, 0)));
    CHECK(succeeded(mpscnn_runner_wait(runner)));
    CHECK(shot.received.times == 1 && shot.received.status == MPSCNN_OK);
    CHECK(refused(submit(&shot.input, tell), MPSCNN_ERROR_STATE, "the runner is closed"));
    mpscnn_model_release(plain);
    mpscnn_runner_release(runner);
    mpscnn_runner_release(nullptr);
    mpscnn_program_release(program);
}

TEST(ranking_needs_no_preprocessing) {
    mpscnn_program *program = classifier_program();
    std::string bytes = model_bytes();
    bytes.replace(bytes.find("mpscnn.preprocess"), 6, "unused");
    mpscnn_model *model = parsed(bytes);
    const float values[classes] = {1, 3, 2};
    const mpscnn_tensor output = floats(values, {1, classes});
    mpscnn_predictions *predictions = nullptr;
    CHECK(succeeded(mpscnn_model_rank(model, program, &output, 1, &predictions)));
    mpscnn_prediction best{};
    CHECK(succeeded(mpscnn_predictions_get(predictions, 0, &best)));
    CHECK(best.index == 1);
    mpscnn_predictions_release(predictions);
    mpscnn_model_release(model);
    mpscnn_program_release(program);
}

TEST(outputs_that_cannot_be_ranked_are_refused) {
    mpscnn_program *program = classifier_program();
    mpscnn_model *model = parsed(model_bytes());
    const float values[2 * classes] = {1, 2, 3};
    mpscnn_predictions *predictions = nullptr;
    const auto rank = [&](const mpscnn_tensor &output, int top) {
        return mpscnn_model_rank(model, program, &output, top, &predictions);
    };
    CHECK(refused(rank(floats(values, {2, classes}), 0), MPSCNN_ERROR_SHAPE, "expected (1, 3), got (2, 3)"));
    CHECK(refused(rank(floats(nullptr, {1, classes}), 0), MPSCNN_ERROR_PARAMETER, "no memory"));
    CHECK(refused(rank(floats(values, {1, classes}), -1), MPSCNN_ERROR_PARAMETER, "top"));
    CHECK(predictions == nullptr);
    const std::uint16_t halves[classes] = {0x4000, 0x3c00, 0}; // 2, 1, 0
    mpscnn_tensor output = floats(nullptr, {1, classes});
    output.data = const_cast<std::uint16_t *>(halves);
    output.dtype = MPSCNN_FLOAT16;
    CHECK(succeeded(rank(output, 1)));
    mpscnn_prediction best{};
    CHECK(succeeded(mpscnn_predictions_get(predictions, 0, &best)));
    CHECK(mpscnn_predictions_count(predictions) == 1 && best.index == 0);
    mpscnn_predictions_release(predictions);
    mpscnn_model_release(model);
    mpscnn_program_release(program);
}
