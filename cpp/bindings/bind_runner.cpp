#include <pybind11/stl.h>

#include "arrays.h"
#include "bind.h"
#include "exclusive.h"
#include "frame.h"
#include "frame_queue.h"
#include "gil.h"
#include "permits.h"
#include "pixels.h"
#include "results.h"

namespace mpscnn::bindings {

namespace {

using EndCallback = std::optional<py::function>;

Tensors tensors_of(const py::list &arrays, const std::string &what, Access access) {
    Tensors tensors;
    float_tensors(arrays, what, access, tensors);
    return tensors;
}

int permits_of(const Runner &runner) {
    return py::module_::import("json").attr("loads")(runner.describe())["permits"].cast<int>();
}

/// A runner whose frames are Python objects.
struct FrameRunner {
    FrameRunner(const Program &program, const RunnerOptions &options)
        : runner(program, options), permits(std::make_shared<Permits>(permits_of(runner))) {}

    Runner runner; ///< its destructor waits, without the GIL, until every frame has been delivered
    std::shared_ptr<Permits> permits;

    /// Submit a frame. `submit` gets a handler and runs without the GIL. This is one step: if a signal
    /// handler raises, or the runner refuses the frame, the frame is unchanged.
    template <class Submit> void take(const std::shared_ptr<Frame> &frame, Frame::Use use, Submit submit) {
        frame->begin(permits, std::move(use));
        std::optional<Runner::FrameNumber> number;
        try {
            const GilReleased unlocked;
            number = submit([frame](const std::exception_ptr &failure) { frame->end(failure, nullptr); });
        } catch (...) {
            frame->be_refused();
            throw;
        }
        frame->be_taken(number);
    }

    /// Submit a frame whose handler gets a result. `convert` turns the result into a Python object when one
    /// is needed.
    template <class Result, class Convert, class Submit>
    void take(const std::shared_ptr<Frame> &frame, Frame::Use use, Convert convert, Submit submit) {
        take(frame, std::move(use), [&](const Runner::Handler &) {
            return submit([frame, convert](const std::exception_ptr &failure, Result result) {
                const auto kept = std::make_shared<Result>(std::move(result));
                frame->end(failure, [kept, convert]() -> py::object { return convert(std::move(*kept)); });
            });
        });
    }
};

std::unique_ptr<FrameRunner, DeleteUnlocked> make_runner(const Program &program, int inflight, int threads,
                                                         int max_batch, double max_wait, bool check_finite,
                                                         std::uint64_t max_memory) {
    if (ForeignGil::is_closed()) throw StateError("the interpreter is ending: too late for a new runner");
    return std::unique_ptr<FrameRunner, DeleteUnlocked>(
        new FrameRunner(program, {.inflight = inflight,
                                  .threads = threads,
                                  .max_batch = max_batch,
                                  .check_finite = check_finite,
                                  .max_wait = max_wait,
                                  .max_memory = max_memory}));
}

void submit_arrays(FrameRunner &self, const std::shared_ptr<Frame> &frame, const py::list &inputs,
                   const py::list &outputs, py::object result, EndCallback on_end) {
    const auto sources = tensors_of(inputs, "input", Access::read);
    const auto destinations = tensors_of(outputs, "output", Access::write);
    const bool brief = !on_end; // without a callback the end of the frame needs no GIL
    self.take(
        frame,
        {.needed = py::make_tuple(inputs, outputs), .result = std::move(result), .on_end = std::move(on_end)},
        [&](Runner::Handler handler) {
            return brief ? self.runner.submit_brief(sources, destinations, std::move(handler))
                         : self.runner.submit(sources, destinations, std::move(handler));
        });
}

void submit_photo(FrameRunner &self, const std::shared_ptr<Frame> &frame, const py::object &image,
                  const std::string &preprocess, const py::list &outputs, EndCallback on_end) {
    const ImageView &photo = image.cast<const Pixels &>().view();
    const auto destinations = tensors_of(outputs, "output", Access::write);
    self.take(frame, {.needed = py::make_tuple(image, outputs), .on_end = std::move(on_end)},
              [&](Runner::Handler handler) {
                  return self.runner.submit(photo, preprocess, destinations, std::move(handler));
              });
}

/// Keep the model and the image alive while the frame needs them.
Frame::Use use_of(const py::object &model, const py::object &image, EndCallback on_end) {
    return {.needed = py::make_tuple(model, image), .on_end = std::move(on_end)};
}

void classify_frame(FrameRunner &self, const std::shared_ptr<Frame> &frame, const py::object &model,
                    const py::object &image, int top, EndCallback on_end) {
    const auto &file = model.cast<const ModelFile &>();
    const ImageView &photo = image.cast<const Pixels &>().view();
    self.take<Predictions>(frame, use_of(model, image, std::move(on_end)), ranked_classes,
                           [&](Runner::ResultHandler<Predictions> handler) {
                               return self.runner.classify(file, photo, top, std::move(handler));
                           });
}

void detect_frame(FrameRunner &self, const std::shared_ptr<Frame> &frame, const py::object &model,
                  const py::object &image, float score_threshold, float iou_threshold, int max_detections,
                  int tile_side, double tile_overlap, EndCallback on_end) {
    const auto &file = model.cast<const ModelFile &>();
    const ImageView &photo = image.cast<const Pixels &>().view();
    using Found = std::vector<Detection>;
    self.take<Found>(frame, use_of(model, image, std::move(on_end)), detection_list,
                     [&](Runner::ResultHandler<Found> handler) {
                         return self.runner.detect(file, photo,
                                                   {.score_threshold = score_threshold,
                                                    .iou_threshold = iou_threshold,
                                                    .max_detections = max_detections,
                                                    .tile_side = tile_side,
                                                    .tile_overlap = tile_overlap},
                                                   std::move(handler));
                     });
}

void segment_frame(FrameRunner &self, const std::shared_ptr<Frame> &frame, const py::object &model,
                   const py::object &image, int classes, int tile_side, double tile_overlap,
                   EndCallback on_end) {
    const auto &file = model.cast<const ModelFile &>();
    const ImageView &photo = image.cast<const Pixels &>().view();
    self.take<Segmentation>(frame, use_of(model, image, std::move(on_end)), label_arrays,
                            [&](Runner::ResultHandler<Segmentation> handler) {
                                return self.runner.segment(
                                    file, photo, classes, std::move(handler),
                                    {.tile_side = tile_side, .tile_overlap = tile_overlap});
                            });
}

/// Submit a frame that is not run because it is invalid.
void submit_failure(FrameRunner &self, const std::shared_ptr<Frame> &frame, py::object failure,
                    EndCallback on_end) {
    self.take(frame, {.failure = std::move(failure), .on_end = std::move(on_end)},
              [&](Runner::Handler handler) {
                  self.runner.mark(std::move(handler));
                  return std::optional<Runner::FrameNumber>();
              });
}

bool cancel_frame(FrameRunner &self, const Frame &frame) {
    const std::optional<std::uint64_t> number = frame.number();
    const GilReleased unlocked;
    return number && self.runner.cancel(*number);
}

void close_runner(FrameRunner &self, bool cancel_waiting) {
    const GilReleased unlocked;
    self.runner.close(cancel_waiting);
    self.permits->close();
}

void wait_until_closed(FrameRunner &self) {
    self.permits->wait_until_idle(); // a signal interrupts this
    const GilReleased unlocked;
    self.runner.wait();
}

py::object or_none(const py::object &object) { return object ? object : py::none(); }

/// True if the object has been constructed. The garbage collector may visit an object before that, because
/// pybind11 allocates memory during the construction of a class's first object.
bool is_made(PyObject *self) {
    const auto *instance = reinterpret_cast<const py::detail::instance *>(self);
    const bool has_layout = instance->simple_layout || instance->nonsimple.values_and_holders != nullptr;
    return has_layout && py::detail::is_holder_constructed(self);
}

/// Let Python's garbage collector traverse objects of a class, because an exception's traceback may refer
/// back to them.
template <class Holder> py::custom_type_setup seen_by_garbage_collector() {
    return py::custom_type_setup([](PyHeapTypeObject *heap_type) {
        PyTypeObject &type = heap_type->ht_type;
        type.tp_flags |= Py_TPFLAGS_HAVE_GC;
        type.tp_traverse = [](PyObject *self, visitproc visit, void *arg) {
            Py_VISIT(Py_TYPE(self));
            return is_made(self) ? Holder::traverse(self, visit, arg) : 0;
        };
        type.tp_clear = [](PyObject *self) {
            if (is_made(self)) Holder::clear(self);
            return 0;
        };
    });
}

struct FrameObject {
    static int traverse(PyObject *self, visitproc visit, void *arg) {
        const auto frame = py::cast<std::shared_ptr<Frame>>(py::handle(self));
        // One reference belongs to the Python object and one to this variable. A third reference would mean
        // that the core still uses the frame.
        constexpr long own = 2;
        return frame.use_count() == own ? frame->traverse(visit, arg) : 0;
    }
    static void clear(PyObject *self) { py::cast<Frame &>(py::handle(self)).clear(); }
};

struct FrameQueueObject {
    static int traverse(PyObject *self, visitproc visit, void *arg) {
        return py::cast<FrameQueue &>(py::handle(self)).traverse(visit, arg);
    }
    static void clear(PyObject *self) { py::cast<FrameQueue &>(py::handle(self)).clear(); }
};

void bind_frame(py::module_ &module) {
    py::class_<Frame, std::shared_ptr<Frame>>(module, "Frame", "A frame on its way through a runner.",
                                              seen_by_garbage_collector<FrameObject>())
        .def(py::init<>())
        .def_property_readonly("given", exclusively([](const Frame &frame) { return or_none(frame.given); }))
        .def_property("finish", exclusively([](const Frame &frame) { return or_none(frame.finish); }),
                      exclusively([](Frame &frame, py::object finish) { frame.finish = std::move(finish); }))
        .def_property("ended", exclusively([](const Frame &frame) { return or_none(frame.ended); }),
                      exclusively([](Frame &frame, py::object ended) { frame.ended = std::move(ended); }))
        .def("give_up", &Frame::give_up, py::call_guard<Exclusive>())
        .def("taken", &Frame::taken, py::call_guard<Exclusive>())
        .def("done", &Frame::done, py::call_guard<Exclusive>())
        .def("wait", &Frame::wait, py::call_guard<Exclusive>())
        .def("exception", &Frame::exception, py::call_guard<Exclusive>())
        .def("found", &Frame::found, py::call_guard<Exclusive>())
        .def(
            "give_away",
            [](Frame &frame) {
                const Frame::Outcome outcome = frame.give_away();
                return py::make_tuple(outcome.failure, outcome.found);
            },
            py::call_guard<Exclusive>())
        .def("milliseconds", &Frame::milliseconds, py::call_guard<Exclusive>())
        .def("settle", &Frame::settle, py::arg("result"), py::call_guard<Exclusive>())
        .def("fail", &Frame::fail, py::arg("error"), py::call_guard<Exclusive>());

    py::class_<FrameQueue>(module, "FrameQueue", "The frames of a stream in their order.",
                           seen_by_garbage_collector<FrameQueueObject>())
        .def(py::init<std::size_t, bool>(), py::arg("max_frames"), py::arg("return_exceptions"))
        .def("__len__", &FrameQueue::size, py::call_guard<Exclusive>())
        .def("__next__", &FrameQueue::next, py::call_guard<Exclusive>())
        .def("wants_frame", &FrameQueue::wants_frame, py::arg("has_asked"), py::call_guard<Exclusive>())
        .def("in_hand", &FrameQueue::in_hand, py::call_guard<Exclusive>())
        .def("take_from", &FrameQueue::take_from, py::arg("stream"), py::call_guard<Exclusive>())
        .def("put", &FrameQueue::put, py::arg("given"), py::call_guard<Exclusive>())
        .def("first", &FrameQueue::first, py::call_guard<Exclusive>())
        .def("end", &FrameQueue::end, py::call_guard<Exclusive>())
        .def("fail", &FrameQueue::fail, py::arg("error"), py::call_guard<Exclusive>())
        .def("hand_out", &FrameQueue::hand_out, py::call_guard<Exclusive>());
}

} // namespace

void bind_runner(py::module_ &module) {
    bind_frame(module);
    const py::arg frame("frame");
    const py::arg_v on_end("on_end", py::none());
    py::class_<FrameRunner, std::unique_ptr<FrameRunner, DeleteUnlocked>>(
        module, "Runner", "Runs many frames, several at once, in their order.")
        .def(py::init(&make_runner), py::arg("program"), py::arg("inflight"), py::arg("threads"),
             py::arg("max_batch"), py::arg("max_wait"), py::arg("check_finite"), py::arg("max_memory") = 0)
        .def(
            "describe", [](const FrameRunner &self) { return self.runner.describe(); },
            py::call_guard<Exclusive>())
        .def(
            "reserve",
            [](const FrameRunner &self, Frame &given, py::function function) {
                return given.reserve(self.permits, std::move(function));
            },
            frame, py::arg("on_permit"), py::call_guard<Exclusive>())
        .def("submit", &submit_arrays, frame, py::arg("inputs"), py::arg("outputs"), py::arg("result"),
             on_end, py::call_guard<Exclusive>())
        .def("submit_photo", &submit_photo, frame, py::arg("image"), py::arg("preprocess"),
             py::arg("outputs"), on_end, py::call_guard<Exclusive>())
        .def("classify", &classify_frame, frame, py::arg("model"), py::arg("image"), py::arg("top"), on_end,
             py::call_guard<Exclusive>())
        .def("detect", &detect_frame, frame, py::arg("model"), py::arg("image"), py::arg("score_threshold"),
             py::arg("iou_threshold"), py::arg("max_detections"), py::arg("tile_side"),
             py::arg("tile_overlap"), on_end, py::call_guard<Exclusive>())
        .def("segment", &segment_frame, frame, py::arg("model"), py::arg("image"), py::arg("classes"),
             py::arg("tile_side"), py::arg("tile_overlap"), on_end, py::call_guard<Exclusive>())
        .def("submit_failure", &submit_failure, frame, py::arg("failure"), on_end,
             py::call_guard<Exclusive>())
        .def("cancel", &cancel_frame, frame, py::call_guard<Exclusive>())
        .def(
            "in_delivery", [](const FrameRunner &self) { return self.permits->in_delivery(); },
            py::call_guard<Exclusive>())
        .def("close", &close_runner, py::arg("cancel") = false, py::call_guard<Exclusive>())
        .def("wait", &wait_until_closed, py::call_guard<Exclusive>());
}

} // namespace mpscnn::bindings
