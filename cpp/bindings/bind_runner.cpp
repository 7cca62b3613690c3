#include "arrays.h"
#include "awaited_frame.h"
#include "bind.h"
#include "callback.h"
#include "errors.h"
#include "gil.h"
#include "pixels.h"
#include "results.h"

namespace mpscnn::bindings {

namespace {

Tensors tensors_of(const py::list &arrays, const std::string &what, Access access) {
    Tensors tensors;
    float_tensors(arrays, what, access, tensors);
    return tensors;
}

/// A Python callable for a frame's end, which keeps what the frame needs.
class Done {
public:
    explicit Done(py::function done)
        : callback_(std::make_shared<Callback>(std::move(done), "a handler of mpscnn.Runner")) {}

    /// Calls it with (exception or None, result or None); `make_result` with the GIL held.
    template <class MakeResult> void operator()(const std::exception_ptr &failure, MakeResult make_result) {
        (*callback_)([&]() -> py::tuple {
            ForeignGil::keep_thread_state(); // a runner has one thread for this, which ends without the GIL
            if (failure) return py::make_tuple(exception_object(failure), py::none());
            try {
                return py::make_tuple(py::none(), make_result());
            } catch (...) { // out of memory; the frame still has to end
                return py::make_tuple(exception_object(std::current_exception()), py::none());
            }
        });
    }

private:
    std::shared_ptr<Callback> callback_;
};

Runner::Handler handler_of(py::function done) {
    return [call = Done(std::move(done))](const std::exception_ptr &failure) mutable {
        call(failure, [] { return py::none(); });
    };
}

template <class Result, class Convert>
Runner::ResultHandler<Result> handler_of(py::function done, Convert convert) {
    return [call = Done(std::move(done)), convert](const std::exception_ptr &failure, Result result) mutable {
        call(failure, [&] { return convert(std::move(result)); });
    };
}

Runner::FrameNumber submit_frame(Runner &runner, const py::list &inputs, const py::list &outputs,
                                 py::function done) {
    const auto sources = tensors_of(inputs, "input", Access::read);
    const auto destinations = tensors_of(outputs, "output", Access::write);
    Runner::Handler handler = handler_of(std::move(done));
    const GilReleased unlocked;
    return runner.submit(sources, destinations, std::move(handler));
}

std::shared_ptr<AwaitedFrame> submit_awaited(Runner &runner, const py::list &inputs, const py::list &outputs,
                                             py::object result) {
    const auto sources = tensors_of(inputs, "input", Access::read);
    const auto destinations = tensors_of(outputs, "output", Access::write);
    auto frame = std::make_shared<AwaitedFrame>(std::move(result), py::make_tuple(inputs, outputs));
    const GilReleased unlocked;
    runner.submit_brief(sources, destinations,
                        [frame](const std::exception_ptr &failure) { frame->end(failure); });
    return frame;
}

Runner::FrameNumber submit_photo(Runner &runner, const Pixels &image, const std::string &preprocess,
                                 const py::list &outputs, py::function done) {
    const auto destinations = tensors_of(outputs, "output", Access::write);
    Runner::Handler handler = handler_of(std::move(done));
    const GilReleased unlocked;
    return runner.submit(image.view(), preprocess, destinations, std::move(handler));
}

Runner::FrameNumber classify_frame(Runner &runner, const ModelFile &model, const Pixels &image, int top,
                                   py::function done) {
    auto handler = handler_of<Predictions>(std::move(done), prediction_list);
    const GilReleased unlocked;
    return runner.classify(model, image.view(), top, std::move(handler));
}

Runner::FrameNumber detect_frame(Runner &runner, const ModelFile &model, const Pixels &image, float score,
                                 float iou, int most, py::function done) {
    auto handler = handler_of<std::vector<Detection>>(std::move(done), detection_list);
    const GilReleased unlocked;
    return runner.detect(model, image.view(), {score, iou, most}, std::move(handler));
}

Runner::FrameNumber segment_frame(Runner &runner, const ModelFile &model, const Pixels &image, int classes,
                                  py::function done) {
    auto handler = handler_of<Segmentation>(std::move(done), label_arrays);
    const GilReleased unlocked;
    return runner.segment(model, image.view(), classes, std::move(handler));
}

void mark(Runner &runner, py::function done) {
    Runner::Handler handler = handler_of(std::move(done));
    const GilReleased unlocked;
    runner.mark(std::move(handler));
}

} // namespace

void bind_runner(py::module_ &module) {
    py::class_<AwaitedFrame, std::shared_ptr<AwaitedFrame>>(module, "AwaitedFrame",
                                                            "A frame whose end a thread waits for.")
        .def("done", &AwaitedFrame::done)
        .def("wait", &AwaitedFrame::wait)
        .def("exception", &AwaitedFrame::exception)
        .def("result", &AwaitedFrame::result)
        .def("tell", &AwaitedFrame::tell, py::arg("function"));

    // Its destructor waits for frames whose handlers want the GIL.
    py::class_<Runner, std::unique_ptr<Runner, DeleteUnlocked>>(
        module, "Runner", "Runs many frames, several at once, in their order.")
        .def(py::init([](const Program &program, int inflight, int threads, int max_batch, double max_wait,
                         bool check_finite) {
                 const GilReleased unlocked;
                 return std::unique_ptr<Runner, DeleteUnlocked>(
                     new Runner(program, {.inflight = inflight,
                                          .threads = threads,
                                          .max_batch = max_batch,
                                          .check_finite = check_finite,
                                          .max_wait = max_wait}));
             }),
             py::arg("program"), py::arg("inflight") = 0, py::arg("threads") = 0, py::arg("max_batch") = 0,
             py::arg("max_wait") = 0.0, py::arg("check_finite") = false)
        .def("describe", &Runner::describe)
        .def("submit", &submit_frame, py::arg("inputs"), py::arg("outputs"), py::arg("done"))
        .def("submit_awaited", &submit_awaited, py::arg("inputs"), py::arg("outputs"), py::arg("result"))
        .def("submit_photo", &submit_photo, py::arg("image"), py::arg("preprocess"), py::arg("outputs"),
             py::arg("done"))
        .def("classify", &classify_frame, py::arg("model"), py::arg("image"), py::arg("top"), py::arg("done"))
        .def("detect", &detect_frame, py::arg("model"), py::arg("image"), py::arg("score"), py::arg("iou"),
             py::arg("most"), py::arg("done"))
        .def("segment", &segment_frame, py::arg("model"), py::arg("image"), py::arg("classes"),
             py::arg("done"))
        .def("mark", &mark, py::arg("done"))
        .def("cancel", &Runner::cancel, py::arg("frame"), py::call_guard<GilReleased>())
        .def("close", &Runner::close, py::arg("cancel") = false, py::call_guard<GilReleased>())
        .def("wait", &Runner::wait, py::call_guard<GilReleased>());
}

} // namespace mpscnn::bindings
