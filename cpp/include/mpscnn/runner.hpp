/// A runner for C++20: an owning class, exceptions and futures over mpscnn/runner.h. Part of mpscnn.hpp,
/// which includes this file.
///
///     mpscnn::Runner runner(model.program(), {.inflight = 3});
///     std::future<std::vector<mpscnn::Detection>> objects = runner.detect(model.file(), photo);
///     for (const mpscnn::Detection &object : objects.get()) ...
#pragma once

#include <cstdint>
#include <exception>
#include <functional>
#include <future>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "model.hpp"
#include "network.hpp"
#include "runner.h"

namespace mpscnn {
inline namespace api {

using RunnerOptions = mpscnn_runner_options;

/// Runs frames, several at a time, and delivers them in order. Any number of threads may use it. Its
/// destructor waits until every frame has been delivered; see mpscnn_runner_release.
class Runner {
public:
    /// A frame's handler. It gets the frame's error, or nothing; CancelledError if the frame never began. It
    /// is called once, in the order of submission, on one of the runner's threads. It must not throw.
    using Handler = std::function<void(std::exception_ptr failure)>;
    /// A handler that also gets the frame's result, which is empty if there is an error.
    template <class Result> using ResultHandler = std::function<void(std::exception_ptr failure, Result)>;
    using FrameNumber = std::uint64_t;

    explicit Runner(const Program &program, const RunnerOptions &options = {}) {
        mpscnn_runner *handle = nullptr;
        detail::ensure(mpscnn_runner_create(program.get(), &options, &handle));
        handle_.reset(handle);
    }

    /// Return a description as JSON; see mpscnn_runner_describe.
    std::string describe() const { return detail::text_of(mpscnn_runner_describe, get()); }

    /// Submit a run. Memory of inputs and outputs must stay valid until the handler is called. See
    /// mpscnn_runner_submit.
    FrameNumber submit(std::span<const mpscnn_tensor> inputs, std::span<const mpscnn_tensor> outputs,
                       Handler done) {
        return hand_over(std::move(done), [&](void *context, FrameNumber *number) {
            return mpscnn_runner_submit(get(), inputs.data(), detail::count(inputs.size()), outputs.data(),
                                        detail::count(outputs.size()), handle_frame, context, number);
        });
    }
    /// Submit a run with a handler that neither blocks nor calls the runner. See mpscnn_runner_submit_brief.
    FrameNumber submit_brief(std::span<const mpscnn_tensor> inputs, std::span<const mpscnn_tensor> outputs,
                             Handler done) {
        return hand_over(std::move(done), [&](void *context, FrameNumber *number) {
            return mpscnn_runner_submit_brief(get(), inputs.data(), detail::count(inputs.size()),
                                              outputs.data(), detail::count(outputs.size()), handle_frame,
                                              context, number);
        });
    }
    std::future<void> submit(std::span<const mpscnn_tensor> inputs, std::span<const mpscnn_tensor> outputs) {
        return promised([&](Handler done) { submit_brief(inputs, outputs, std::move(done)); });
    }

    /// Submit a photo, whose pixels must stay valid until the handler is called. See
    /// mpscnn_runner_submit_image.
    FrameNumber submit(const ModelFile &model, const ImageView &photo, std::span<const mpscnn_tensor> outputs,
                       Handler done) {
        return hand_over(std::move(done), [&](void *context, FrameNumber *number) {
            return mpscnn_runner_submit_image(get(), model.get(), photo.get(), outputs.data(),
                                              detail::count(outputs.size()), handle_frame, context, number);
        });
    }
    std::future<void> submit(const ModelFile &model, const ImageView &photo,
                             std::span<const mpscnn_tensor> outputs) {
        return promised([&](Handler done) { submit(model, photo, outputs, std::move(done)); });
    }
    /// Submit a photo with `preprocess` as in mpscnn_preprocess. See mpscnn_runner_submit_photo.
    FrameNumber submit(const ImageView &photo, const std::string &preprocess,
                       std::span<const mpscnn_tensor> outputs, Handler done) {
        return hand_over(std::move(done), [&](void *context, FrameNumber *number) {
            return mpscnn_runner_submit_photo(get(), photo.get(), detail::c_string(preprocess),
                                              outputs.data(), detail::count(outputs.size()), handle_frame,
                                              context, number);
        });
    }

    /// `classify`, `detect` and `segment` submit a photo for the function of ModelFile with the same name.
    /// The model and the photo's pixels must stay valid until the handler is called. See
    /// mpscnn_runner_classify.
    FrameNumber classify(const ModelFile &model, const ImageView &photo, int top,
                         ResultHandler<Predictions> done) {
        const auto found = std::make_shared<mpscnn_predictions *>(nullptr);
        return hand_over([found, done = std::move(done)](
                             std::exception_ptr failure) { done(std::move(failure), Predictions(*found)); },
                         [&](void *context, FrameNumber *number) {
                             return mpscnn_runner_classify(get(), model.get(), photo.get(), top, found.get(),
                                                           handle_frame, context, number);
                         });
    }
    std::future<Predictions> classify(const ModelFile &model, const ImageView &photo, int top = 0) {
        return promised_result<Predictions>(
            [&](ResultHandler<Predictions> done) { classify(model, photo, top, std::move(done)); });
    }
    FrameNumber detect(const ModelFile &model, const ImageView &photo, const DetectOptions &options,
                       ResultHandler<std::vector<Detection>> done) {
        const auto found = std::make_shared<mpscnn_detections *>(nullptr);
        return hand_over(
            [found, done = std::move(done)](std::exception_ptr failure) {
                std::vector<Detection> objects;
                try {
                    objects = detail::detections_of(*found);
                } catch (...) { // out of memory; the frame still has to end
                    failure = std::current_exception();
                }
                done(std::move(failure), std::move(objects));
            },
            [&](void *context, FrameNumber *number) {
                return mpscnn_runner_detect(get(), model.get(), photo.get(), &options, found.get(),
                                            handle_frame, context, number);
            });
    }
    std::future<std::vector<Detection>> detect(const ModelFile &model, const ImageView &photo,
                                               const DetectOptions &options = {}) {
        return promised_result<std::vector<Detection>>([&](ResultHandler<std::vector<Detection>> done) {
            detect(model, photo, options, std::move(done));
        });
    }
    /// Write the result to memory of the caller; see mpscnn_model_segment_with.
    FrameNumber segment(const ModelFile &model, const ImageView &photo, std::uint8_t *labels, float *scores,
                        int classes, Handler done, const SegmentOptions &options = {}) {
        return hand_over(std::move(done), [&](void *context, FrameNumber *number) {
            return mpscnn_runner_segment_with(get(), model.get(), photo.get(), &options, labels, scores,
                                              classes, handle_frame, context, number);
        });
    }
    FrameNumber segment(const ModelFile &model, const ImageView &photo, int classes,
                        ResultHandler<Segmentation> done, const SegmentOptions &options = {}) {
        const auto map = std::make_shared<Segmentation>(Segmentation::for_photo(photo, classes));
        return segment(
            model, photo, map->labels.data(), map->score_data(), classes,
            [map, done = std::move(done)](std::exception_ptr failure) {
                done(std::move(failure), std::move(*map));
            },
            options);
    }
    std::future<Segmentation> segment(const ModelFile &model, const ImageView &photo, int classes = 0,
                                      const SegmentOptions &options = {}) {
        return promised_result<Segmentation>([&](ResultHandler<Segmentation> done) {
            segment(model, photo, classes, std::move(done), options);
        });
    }

    /// Call the handler when all earlier frames have been delivered.
    void mark(Handler done) {
        hand_over(std::move(done), [&](void *context, FrameNumber *) {
            return mpscnn_runner_mark(get(), handle_frame, context);
        });
    }

    /// Cancel a frame; return true if it had not begun.
    bool cancel(FrameNumber frame) {
        int cancelled = 0;
        detail::ensure(mpscnn_runner_cancel(get(), frame, &cancelled));
        return cancelled != 0;
    }
    /// Accept no more frames. If `cancel` is true, cancel those that have not begun.
    void close(bool cancel = false) { detail::ensure(mpscnn_runner_close(get(), cancel ? 1 : 0)); }
    /// Block until every frame has been delivered.
    void wait() { detail::ensure(mpscnn_runner_wait(get())); }

    mpscnn_runner *get() const noexcept { return handle_.get(); }

private:
    static void handle_frame(mpscnn_status status, const char *message, void *context) {
        const std::unique_ptr<Handler> done(static_cast<Handler *>(context));
        std::exception_ptr failure;
        try {
            if (status != MPSCNN_OK) detail::throw_error(status, message);
        } catch (...) {
            failure = std::current_exception();
        }
        (*done)(std::move(failure));
    }

    /// Give the handler to a call of the library, which owns the handler once it has accepted the frame.
    template <class Call> static FrameNumber hand_over(Handler done, Call call) {
        auto owned = std::make_unique<Handler>(std::move(done));
        FrameNumber number = 0;
        detail::ensure(call(owned.get(), &number));
        static_cast<void>(owned.release());
        return number;
    }

    template <class Submit> static std::future<void> promised(Submit submit) {
        auto promise = std::make_shared<std::promise<void>>();
        std::future<void> future = promise->get_future();
        submit([promise](std::exception_ptr failure) {
            failure ? promise->set_exception(std::move(failure)) : promise->set_value();
        });
        return future;
    }
    template <class Result, class Submit> static std::future<Result> promised_result(Submit submit) {
        auto promise = std::make_shared<std::promise<Result>>();
        std::future<Result> future = promise->get_future();
        submit([promise](std::exception_ptr failure, Result result) {
            failure ? promise->set_exception(std::move(failure)) : promise->set_value(std::move(result));
        });
        return future;
    }

    detail::Handle<mpscnn_runner, mpscnn_runner_release> handle_;
};

} // namespace api
} // namespace mpscnn
