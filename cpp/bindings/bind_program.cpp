#include <pybind11/stl.h>

#include <array>

#include "arrays.h"
#include "bind.h"

namespace mpscnn::bindings {

namespace {

/// The tensors of one call on the stack, so that a run allocates nothing.
class Tensors {
public:
    Tensors(const py::list &arrays, const char *role, Access access) : count_(arrays.size()) {
        if (count_ > tensors_.size())
            throw ShapeError(std::to_string(count_) + " " + role + "s, at most " +
                             std::to_string(tensors_.size()) + " are possible");
        for (std::size_t i = 0; i < count_; ++i) tensors_[i] = float_tensor(arrays[i], role, access);
    }
    operator std::span<const mpscnn_tensor>() const { return {tensors_.data(), count_}; }

private:
    std::size_t count_;
    std::array<mpscnn_tensor, 64> tensors_;
};

void run(Session &session, const py::list &inputs, const py::list &outputs) {
    const Tensors sources(inputs, "input", Access::read), destinations(outputs, "output", Access::write);
    // The caller's lists keep the arrays alive meanwhile.
    const py::gil_scoped_release unlocked;
    session.run(sources, destinations);
}

py::tuple output_shapes(const Program &program, const std::vector<Shape> &inputs) {
    const Program::Planned planned = [&] {
        const py::gil_scoped_release unlocked;
        return program.plan(inputs);
    }();
    py::list shapes;
    for (const Shape &shape : planned.outputs) shapes.append(tuple_of(shape));
    return py::make_tuple(shapes, planned.arena_bytes);
}

} // namespace

void bind_program(py::module_ &module) {
    py::class_<Program>(module, "Program", "A graph compiled for a device; may be used from several threads.")
        // The GIL is kept: another thread must not change the graph meanwhile.
        .def_static(
            "compile",
            [](const Graph &graph, const std::string &device, const std::string &precision,
               const std::vector<std::string> &outputs) {
                return graph.compile({.device = device, .precision = precision, .outputs = outputs});
            },
            py::arg("graph"), py::arg("device") = "auto", py::arg("precision") = "auto",
            py::arg("outputs") = std::vector<std::string>())
        .def("describe", &Program::describe)
        .def("output_shapes", &output_shapes, py::arg("input_shapes"));

    py::class_<Session>(module, "Session", "Runs a program for one caller at a time.")
        .def(py::init([](const Program &program, int threads, bool check_finite) {
                 const py::gil_scoped_release unlocked;
                 return Session(program, {.threads = threads, .check_finite = check_finite});
             }),
             py::arg("program"), py::arg("threads") = 0, py::arg("check_finite") = false)
        .def("run", &run, py::arg("inputs"), py::arg("outputs"));
}

} // namespace mpscnn::bindings
