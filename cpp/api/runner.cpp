#include "engine/run/runner.h"

#include <chrono>

#include "api/handle.h"
#include "api/handles.h"
#include "api/limits.h"
#include "api/photo_frame.h"
#include "api/photo_results.h"
#include "api/tensors.h"
#include "core/json.h"
#include "vision/preprocess_json.h"

using namespace mpscnn;
using c_api::guarded;
using c_api::number_or;
using c_api::require;

struct mpscnn_runner {
    mpscnn::c_api::Mark<mpscnn_runner> mark = {};
    mpscnn_runner(std::shared_ptr<engine::Program> runs, const engine::RunnerOptions &options)
        : program(runs), runner(std::move(runs), options) {}

    std::shared_ptr<engine::Program> program;
    engine::Runner runner;
};

namespace {

constexpr int max_batch = 1024;
constexpr double max_wait = 1e6; // seconds; fits the clock's nanoseconds, and is longer than anyone waits

engine::RunnerOptions runner_options(const mpscnn_runner_options *given) {
    const auto raw = c_api::read_options(given, "mpscnn_runner_options");
    if (!(raw.max_wait >= 0 && raw.max_wait <= max_wait))
        fail(ErrorKind::parameter, {"max_wait must be 0 to 1e6 seconds, got ", raw.max_wait});
    const engine::RunnerOptions defaults;
    const std::chrono::duration<double> wait(raw.max_wait);
    return {.inflight = number_or(defaults.inflight, raw.inflight, c_api::max_inflight, "inflight"),
            .threads = c_api::thread_count(raw.threads),
            .max_batch = number_or(defaults.max_batch, raw.max_batch, max_batch, "max_batch"),
            .max_wait = std::chrono::duration_cast<std::chrono::nanoseconds>(wait),
            .check_finite = raw.check_finite != 0,
            .max_memory = raw.max_memory};
}

engine::Completion completion(mpscnn_frame_handler handler, void *context) {
    require(reinterpret_cast<const void *>(handler), "handler");
    return [handler, context](const Failure &failure) {
        handler(c_api::status_of(failure), failure.message(), context);
    };
}

std::vector<engine::TensorView> views_of(const mpscnn_tensor *tensors, int count, const char *what) {
    c_api::require_array(tensors, count, what);
    std::vector<engine::TensorView> views;
    for (int i = 0; i < count; ++i) views.push_back(c_api::view_of(tensors[i], what));
    return views;
}

struct Tensors {
    const mpscnn_tensor *first;
    int count;
};

engine::Frame array_frame(const Tensors &inputs, const Tensors &outputs) {
    engine::Frame frame;
    frame.inputs = views_of(inputs.first, inputs.count, "input");
    frame.outputs = views_of(outputs.first, outputs.count, "output");
    return frame;
}

/// The caller's handler for the end of a frame, and where the frame's number is stored.
struct Receiver {
    mpscnn_frame_handler handler;
    void *context;
    uint64_t *number; ///< may be null
};

void submit(mpscnn_runner &runner, engine::Frame frame, const Receiver &receiver) {
    frame.done = completion(receiver.handler, receiver.context);
    const auto taken = runner.runner.submit(std::move(frame));
    if (receiver.number) *receiver.number = taken;
}

/// Submit a photo. `make_reading(program, photo)` returns its PhotoReading; `result` is where that one stores
/// its result.
template <class MakeReading>
mpscnn_status submit_photo(mpscnn_runner *runner, const mpscnn_model *model, const mpscnn_image *image,
                           const void *result, const char *result_name, const Receiver &receiver,
                           MakeReading make_reading) {
    return guarded([&] {
        require(runner, "runner");
        require(model, "model");
        require(image, "image");
        require(result, result_name);
        const engine::Program &program = *runner->program;
        const vision::ImageView photo = c_api::image_view(*image);
        auto [images, read] = make_reading(program, photo);
        submit(*runner, c_api::photo_frame(program, std::move(images), *model->preprocess, std::move(read)),
               receiver);
    });
}

} // namespace

mpscnn_status mpscnn_runner_create(mpscnn_program *program, const mpscnn_runner_options *options,
                                   mpscnn_runner **runner) {
    return guarded([&] {
        require(program, "program");
        require(runner, "runner");
        *runner = new mpscnn_runner(program->program, runner_options(options));
    });
}

void mpscnn_runner_release(mpscnn_runner *runner) { mpscnn::c_api::release(runner); }

mpscnn_status mpscnn_runner_describe(const mpscnn_runner *runner, mpscnn_text **json) {
    return guarded([&] {
        require(runner, "runner");
        require(json, "json");
        Json description = Json::object();
        description.set("sessions", runner->runner.sessions());
        description.set("threads", runner->runner.threads());
        description.set("permits", runner->runner.permits());
        c_api::give(to_text(description), json);
    });
}

mpscnn_status mpscnn_runner_submit(mpscnn_runner *runner, const mpscnn_tensor *inputs, int input_count,
                                   const mpscnn_tensor *outputs, int output_count,
                                   mpscnn_frame_handler handler, void *context, uint64_t *frame) {
    return guarded([&] {
        require(runner, "runner");
        submit(*runner, array_frame({inputs, input_count}, {outputs, output_count}),
               {handler, context, frame});
    });
}

mpscnn_status mpscnn_runner_submit_brief(mpscnn_runner *runner, const mpscnn_tensor *inputs, int input_count,
                                         const mpscnn_tensor *outputs, int output_count,
                                         mpscnn_frame_handler handler, void *context, uint64_t *frame) {
    return guarded([&] {
        require(runner, "runner");
        engine::Frame run = array_frame({inputs, input_count}, {outputs, output_count});
        run.brief = true;
        submit(*runner, std::move(run), {handler, context, frame});
    });
}

mpscnn_status mpscnn_runner_submit_image(mpscnn_runner *runner, const mpscnn_model *model,
                                         const mpscnn_image *image, const mpscnn_tensor *outputs,
                                         int output_count, mpscnn_frame_handler handler, void *context,
                                         uint64_t *frame) {
    return guarded([&] {
        require(runner, "runner");
        require(model, "model");
        require(image, "image");
        c_api::require_photo_input(*runner->program, *model, "running photos");
        engine::Frame run =
            c_api::photo_frame(*runner->program, {c_api::image_view(*image)}, *model->preprocess);
        run.outputs = views_of(outputs, output_count, "output");
        submit(*runner, std::move(run), {handler, context, frame});
    });
}

mpscnn_status mpscnn_runner_submit_photo(mpscnn_runner *runner, const mpscnn_image *image,
                                         const char *preprocess, const mpscnn_tensor *outputs,
                                         int output_count, mpscnn_frame_handler handler, void *context,
                                         uint64_t *frame) {
    return guarded([&] {
        require(runner, "runner");
        require(image, "image");
        const engine::Program &program = *runner->program;
        c_api::require_image_input(program, "running photos");
        const Json description = parse_json(c_api::text(preprocess, "preprocess"));
        const auto options = vision::preprocess_from_json(JsonView(description, "preprocess"),
                                                          static_cast<int>(program.inputs()[0].shape.back()));
        engine::Frame run = c_api::photo_frame(program, {c_api::image_view(*image)}, options);
        run.outputs = views_of(outputs, output_count, "output");
        submit(*runner, std::move(run), {handler, context, frame});
    });
}

mpscnn_status mpscnn_runner_classify(mpscnn_runner *runner, const mpscnn_model *model,
                                     const mpscnn_image *image, int top, mpscnn_predictions **predictions,
                                     mpscnn_frame_handler handler, void *context, uint64_t *frame) {
    return submit_photo(
        runner, model, image, predictions, "predictions", {handler, context, frame},
        [&](const engine::Program &program, const vision::ImageView &photo) {
            return c_api::PhotoReading{{photo}, c_api::into_predictions(program, *model, top, predictions)};
        });
}

mpscnn_status mpscnn_runner_detect(mpscnn_runner *runner, const mpscnn_model *model,
                                   const mpscnn_image *image, const mpscnn_detect_options *options,
                                   mpscnn_detections **detections, mpscnn_frame_handler handler,
                                   void *context, uint64_t *frame) {
    return submit_photo(runner, model, image, detections, "detections", {handler, context, frame},
                        [&](const engine::Program &program, const vision::ImageView &photo) {
                            return c_api::into_detections(program, *model, photo, options, detections);
                        });
}

mpscnn_status mpscnn_runner_segment(mpscnn_runner *runner, const mpscnn_model *model,
                                    const mpscnn_image *image, uint8_t *labels, float *scores, int classes,
                                    mpscnn_frame_handler handler, void *context, uint64_t *frame) {
    return mpscnn_runner_segment_with(runner, model, image, nullptr, labels, scores, classes, handler,
                                      context, frame);
}

mpscnn_status mpscnn_runner_segment_with(mpscnn_runner *runner, const mpscnn_model *model,
                                         const mpscnn_image *image, const mpscnn_segment_options *options,
                                         uint8_t *labels, float *scores, int classes,
                                         mpscnn_frame_handler handler, void *context, uint64_t *frame) {
    return submit_photo(runner, model, image, labels, "labels", {handler, context, frame},
                        [&](const engine::Program &program, const vision::ImageView &photo) {
                            return c_api::into_labels(program, *model, photo, options, labels, scores,
                                                      classes);
                        });
}

mpscnn_status mpscnn_runner_mark(mpscnn_runner *runner, mpscnn_frame_handler handler, void *context) {
    return guarded([&] {
        require(runner, "runner");
        runner->runner.mark(completion(handler, context));
    });
}

mpscnn_status mpscnn_runner_cancel(mpscnn_runner *runner, uint64_t frame, int *cancelled) {
    return guarded([&] {
        require(runner, "runner");
        require(cancelled, "cancelled");
        *cancelled = runner->runner.cancel(frame) ? 1 : 0;
    });
}

mpscnn_status mpscnn_runner_close(mpscnn_runner *runner, int cancel) {
    return guarded([&] {
        require(runner, "runner");
        runner->runner.close(cancel != 0);
    });
}

mpscnn_status mpscnn_runner_wait(mpscnn_runner *runner) {
    return guarded([&] {
        require(runner, "runner");
        runner->runner.wait();
    });
}
