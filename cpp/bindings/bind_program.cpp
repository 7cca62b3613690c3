#include <pybind11/stl.h>

#include "arrays.h"
#include "bind.h"

namespace mpscnn::bindings {

namespace {

using Tensors = std::vector<mpscnn_tensor>;

/// `tensors` is memory of the calling thread that is used again, so that a run allocates nothing.
void read_tensors(const py::list &arrays, const std::string &what, Access access, Tensors &tensors) {
    tensors.clear();
    for (const py::handle array : arrays) tensors.push_back(float_tensor(array, what, access));
}

void run(Session &session, const py::list &inputs, const py::list &outputs) {
    thread_local Tensors sources, destinations;
    read_tensors(inputs, "input", Access::read, sources);
    read_tensors(outputs, "output", Access::write, destinations);
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
