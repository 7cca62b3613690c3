#include "engine/runner.h"

#include <chrono>

#include "api/guard.h"
#include "api/handles.h"
#include "api/image.h"
#include "api/photo_run.h"
#include "api/tensors.h"

using namespace mpscnn;
using c_api::guarded;
using c_api::require;

struct mpscnn_runner {
    mpscnn_runner(std::shared_ptr<engine::Program> runs, const engine::RunnerOptions &options)
        : program(runs), runner(std::move(runs), options) {}

    std::shared_ptr<engine::Program> program;
    engine::Runner runner;
};

namespace {

constexpr int max_threads = 1024, max_inflight = 32, max_batch = 1024;
constexpr double max_wait = 1e6; // seconds; what a clock's nanoseconds can count, and more than anybody waits

int number(int given, int automatic, int most, const char *field) {
    if (given < 0 || given > most)
        fail(ErrorKind::parameter, std::string(field) + " must be 0 (automatic) to " + std::to_string(most) +
                                       ", got " + std::to_string(given));
    return given == 0 ? automatic : given;
}

engine::RunnerOptions runner_options(const mpscnn_runner_options *given) {
    const auto raw = c_api::read_options(given, "mpscnn_runner_options");
    if (!(raw.max_wait >= 0 && raw.max_wait <= max_wait))
        fail(ErrorKind::parameter, "max_wait must be 0 to 1e6 seconds, got " + std::to_string(raw.max_wait));
    const engine::RunnerOptions defaults;
    const std::chrono::duration<double> wait(raw.max_wait);
    return {.inflight = number(raw.inflight, defaults.inflight, max_inflight, "inflight"),
            .threads = number(raw.threads, defaults.threads, max_threads, "threads"),
            .max_batch = number(raw.max_batch, defaults.max_batch, max_batch, "max_batch"),
            .max_wait = std::chrono::duration_cast<std::chrono::nanoseconds>(wait),
            .check_finite = raw.check_finite != 0};
}

engine::Completion completion(mpscnn_frame_handler handler, void *context) {
    require(reinterpret_cast<const void *>(handler), "handler");
    return [handler, context](std::exception_ptr failure) {
        const mpscnn_status status = guarded([&] {
            if (failure) std::rethrow_exception(std::move(failure));
        });
        handler(status, status == MPSCNN_OK ? "" : mpscnn_last_error(), context);
    };
}

std::vector<engine::TensorView> views_of(const mpscnn_tensor *tensors, int count, const char *what) {
    c_api::require_array(tensors, count, what);
    std::vector<engine::TensorView> views;
    for (int i = 0; i < count; ++i) views.push_back(c_api::view_of(tensors[i], what));
    return views;
}

engine::Frame::Fill fill_from(const vision::ImageView &photo, const vision::Preprocess &preprocess) {
    return [photo, preprocess](std::span<const engine::TensorView> inputs) {
        const Shape &shape = inputs[0].shape;
        const auto height = static_cast<int>(shape[1]), width = static_cast<int>(shape[2]),
                   channels = static_cast<int>(shape[3]);
        vision::preprocess(photo, preprocess, height, width, channels, static_cast<float *>(inputs[0].data),
                           channels, std::ptrdiff_t{channels} * width);
    };
}

void submit(mpscnn_runner &runner, engine::Frame frame, uint64_t *number) {
    const auto taken = runner.runner.submit(std::move(frame));
    if (number) *number = taken;
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

void mpscnn_runner_release(mpscnn_runner *runner) { delete runner; }

mpscnn_status mpscnn_runner_describe(const mpscnn_runner *runner, mpscnn_text **json) {
    return guarded([&] {
        require(runner, "runner");
        require(json, "json");
        Json description = Json::object();
        description.set("sessions", runner->runner.sessions());
        description.set("threads", runner->runner.threads());
        description.set("places", runner->runner.places());
        c_api::give(to_text(description), json);
    });
}

mpscnn_status mpscnn_runner_submit(mpscnn_runner *runner, const mpscnn_tensor *inputs, int input_count,
                                   const mpscnn_tensor *outputs, int output_count,
                                   mpscnn_frame_handler handler, void *context, uint64_t *frame) {
    return guarded([&] {
        require(runner, "runner");
        submit(*runner,
               {.inputs = views_of(inputs, input_count, "input"),
                .outputs = views_of(outputs, output_count, "output"),
                .fill = nullptr,
                .done = completion(handler, context)},
               frame);
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
        const Shape shape = runner->program->inputs()[0].shape.with_batch(1);
        submit(*runner,
               {.inputs = {engine::TensorView::dense(nullptr, DType::float32, shape)},
                .outputs = views_of(outputs, output_count, "output"),
                .fill = fill_from(c_api::image_view(*image), *model->preprocess),
                .done = completion(handler, context)},
               frame);
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
