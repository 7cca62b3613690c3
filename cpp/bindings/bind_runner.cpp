#include "arrays.h"
#include "bind.h"
#include "callback.h"
#include "errors.h"
#include "pixels.h"

namespace mpscnn::bindings {

namespace {

std::vector<mpscnn_tensor> tensors_of(const py::list &arrays, const std::string &what, Access access) {
    std::vector<mpscnn_tensor> tensors;
    for (const py::handle array : arrays) tensors.push_back(float_tensor(array, what, access));
    return tensors;
}

/// `done` is called with an exception or None; it keeps the frame's arrays.
Runner::Handler handler_of(py::function done) {
    return [callback = std::make_shared<Callback>(std::move(done), "a handler of mpscnn.Runner")](
               const std::exception_ptr &failure) {
        (*callback)([&] { return py::make_tuple(failure ? exception_object(failure) : py::none()); });
    };
}

Runner::FrameNumber submit(Runner &runner, const py::list &inputs, const py::list &outputs,
                           py::function done) {
    const auto sources = tensors_of(inputs, "input", Access::read);
    const auto destinations = tensors_of(outputs, "output", Access::write);
    Runner::Handler handler = handler_of(std::move(done));
    const py::gil_scoped_release unlocked;
    return runner.submit(sources, destinations, std::move(handler));
}

Runner::FrameNumber submit_image(Runner &runner, const ModelFile &model, const Pixels &image,
                                 const py::list &outputs, py::function done) {
    const auto destinations = tensors_of(outputs, "output", Access::write);
    Runner::Handler handler = handler_of(std::move(done));
    const py::gil_scoped_release unlocked;
    return runner.submit(model, image.view(), destinations, std::move(handler));
}

void mark(Runner &runner, py::function done) {
    Runner::Handler handler = handler_of(std::move(done));
    const py::gil_scoped_release unlocked;
    runner.mark(std::move(handler));
}

} // namespace

void bind_runner(py::module_ &module) {
    // Its destructor waits for frames whose handlers want the GIL.
    py::class_<Runner>(module, "Runner", "Runs many frames, several at once, in their order.",
                       py::release_gil_before_calling_cpp_dtor())
        .def(py::init([](const Program &program, int inflight, int threads, int max_batch, double max_wait,
                         bool check_finite) {
                 const py::gil_scoped_release unlocked;
                 return std::make_unique<Runner>(program, RunnerOptions{.inflight = inflight,
                                                                        .threads = threads,
                                                                        .max_batch = max_batch,
                                                                        .check_finite = check_finite,
                                                                        .max_wait = max_wait});
             }),
             py::arg("program"), py::arg("inflight") = 0, py::arg("threads") = 0, py::arg("max_batch") = 0,
             py::arg("max_wait") = 0.0, py::arg("check_finite") = false)
        .def("describe", &Runner::describe)
        .def("submit", &submit, py::arg("inputs"), py::arg("outputs"), py::arg("done"))
        .def("submit_image", &submit_image, py::arg("model"), py::arg("image"), py::arg("outputs"),
             py::arg("done"))
        .def("mark", &mark, py::arg("done"))
        .def("cancel", &Runner::cancel, py::arg("frame"), py::call_guard<py::gil_scoped_release>())
        .def("close", &Runner::close, py::arg("cancel") = false, py::call_guard<py::gil_scoped_release>())
        .def("wait", &Runner::wait, py::call_guard<py::gil_scoped_release>());
}

} // namespace mpscnn::bindings
