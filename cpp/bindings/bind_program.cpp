#include <pybind11/stl.h>

#include <algorithm>

#include "arrays.h"
#include "bind.h"
#include "gil.h"
#include "kept_graph.h"

namespace mpscnn::bindings {

namespace {

void run(Session &session, const py::list &inputs, const py::list &outputs) {
    Tensors sources, destinations;
    float_tensors(inputs, "input", Access::read, sources);
    float_tensors(outputs, "output", Access::write, destinations);
    // The caller's lists keep the arrays alive during this time.
    const GilReleased unlocked;
    session.run(sources, destinations);
}

/// Return (profile, trace), both as JSON.
py::tuple profile(Session &session, const py::list &inputs, const py::list &outputs, int runs) {
    Tensors sources, destinations;
    float_tensors(inputs, "input", Access::read, sources);
    float_tensors(outputs, "output", Access::write, destinations);
    const Profile profile = [&] {
        const GilReleased unlocked;
        return session.profile(sources, destinations, runs);
    }();
    return py::make_tuple(profile.json, profile.trace);
}

/// Submit a run. The caller must keep the arrays until the request is done.
Request submit(Session &session, const py::list &inputs, const py::list &outputs) {
    Tensors sources, destinations;
    float_tensors(inputs, "input", Access::read, sources);
    float_tensors(outputs, "output", Access::write, destinations);
    const GilReleased unlocked; // it may wait for an earlier request
    return session.submit(sources, destinations);
}

/// Read `objects`: `count` plain arrays in a list or tuple, or a single plain array. The returned object
/// keeps them alive. Return null if they are anything else.
py::object read_plain(py::handle objects, std::size_t count, Access access, Tensors &tensors) {
    const auto add = [&](py::handle object) {
        const std::optional<mpscnn_tensor> tensor = plain_tensor(object, access);
        if (tensor) tensors.push_back(*tensor);
        return tensor.has_value();
    };
    if (py::isinstance<py::list>(objects) || py::isinstance<py::tuple>(objects)) {
        const py::tuple held(py::reinterpret_borrow<py::object>(objects));
        if (held.size() == count && std::all_of(held.begin(), held.end(), add)) return held;
    } else if (count == 1 && add(objects)) {
        return py::reinterpret_borrow<py::object>(objects);
    }
    return {};
}

/// The usual case, without work in Python: if all inputs and outputs are plain arrays, run and return true.
bool run_plain(Session &session, py::handle inputs, std::size_t input_count, py::handle outputs,
               std::size_t output_count) {
    Tensors sources, destinations;
    const py::object read = read_plain(inputs, input_count, Access::read, sources);
    if (!read) return false;
    const py::object written = read_plain(outputs, output_count, Access::write, destinations);
    if (!written) return false;
    const GilReleased unlocked;
    session.run(sources, destinations);
    return true;
}

/// Return shapes by name; None stands for a free extent.
py::dict dict_of(const std::vector<Port> &ports) {
    py::dict result;
    for (const auto &[name, shape] : ports) {
        py::tuple extents(shape.size());
        for (std::size_t i = 0; i < shape.size(); ++i)
            extents[i] = shape[i] < 0 ? py::object(py::none()) : py::object(py::int_(shape[i]));
        result[py::str(name)] = extents;
    }
    return result;
}

py::tuple output_shapes(const Program &program, const std::vector<Shape> &inputs) {
    const Program::Planned planned = [&] {
        const GilReleased unlocked;
        return program.plan(inputs);
    }();
    py::list shapes;
    for (const Shape &shape : planned.outputs) shapes.append(tuple_of(shape));
    return py::make_tuple(shapes, planned.arena_bytes);
}

} // namespace

void bind_program(py::module_ &module) {
    py::class_<Program>(module, "Program", "A graph compiled for a device; may be used from several threads.")
        // A compilation may wait for a device, and for another thread's check of one, which calls Python. So
        // other threads go on meanwhile. The Python package passes a graph that nobody changes.
        .def_static(
            "compile",
            [](const KeptGraph &graph, const std::vector<std::string> &outputs, const std::string &device,
               const std::string &precision, const std::string &weights, const std::string &accumulate_dtype,
               bool winograd, const std::string &metal_kernels, bool neural_engine,
               std::uint64_t max_memory) {
                return graph.compile({.device = device,
                                      .precision = precision,
                                      .outputs = outputs,
                                      .max_memory = max_memory,
                                      .weights = weights,
                                      .accumulate_dtype = accumulate_dtype,
                                      .winograd = winograd,
                                      .metal_kernels = metal_kernels,
                                      .neural_engine = neural_engine});
            },
            py::arg("graph"), py::arg("outputs") = std::vector<std::string>(), py::arg("device") = "auto",
            py::arg("precision") = "auto", py::arg("weights") = "auto", py::arg("accumulate_dtype") = "auto",
            py::arg("winograd") = true, py::arg("metal_kernels") = "mps", py::arg("neural_engine") = false,
            py::arg("max_memory") = 0, py::call_guard<GilReleased>())
        .def("describe", &Program::describe)
        .def("device", &Program::device)
        .def("warning", &Program::warning)
        .def("inputs", [](const Program &program) { return dict_of(program.inputs()); })
        .def("outputs", [](const Program &program) { return dict_of(program.outputs()); })
        .def("output_shapes", &output_shapes, py::arg("input_shapes"))
        .def(
            "explain",
            [](const Program &program, const std::vector<Shape> &inputs, int threads) {
                const GilReleased unlocked;
                return program.explain(inputs, threads);
            },
            py::arg("input_shapes"), py::arg("threads") = 0)
        .def(
            "fingerprint",
            [](const Program &program, const std::vector<Shape> &inputs, int threads) {
                const GilReleased unlocked;
                return program.fingerprint(inputs, threads);
            },
            py::arg("input_shapes"), py::arg("threads") = 0);

    py::class_<Request, std::unique_ptr<Request, DeleteUnlocked>>(module, "Request",
                                                                  "A run that may still be under way.")
        .def("wait_for", &Request::wait_for, py::arg("seconds"), py::call_guard<GilReleased>());

    py::class_<Session, std::unique_ptr<Session, DeleteUnlocked>>(module, "Session",
                                                                  "Runs a program for one caller at a time.")
        .def(py::init([](const Program &program, int threads, bool check_finite, int inflight,
                         std::uint64_t max_memory) {
                 const GilReleased unlocked;
                 return std::unique_ptr<Session, DeleteUnlocked>(
                     new Session(program, {.threads = threads,
                                           .check_finite = check_finite,
                                           .inflight = inflight,
                                           .max_memory = max_memory}));
             }),
             py::arg("program"), py::arg("threads") = 0, py::arg("check_finite") = false,
             py::arg("inflight") = 0, py::arg("max_memory") = 0)
        .def("run", &run, py::arg("inputs"), py::arg("outputs"))
        .def("submit", &submit, py::arg("inputs"), py::arg("outputs"))
        .def("profile", &profile, py::arg("inputs"), py::arg("outputs"), py::arg("runs"))
        .def("run_plain", &run_plain, py::arg("inputs"), py::arg("input_count"), py::arg("outputs"),
             py::arg("output_count"));
}

} // namespace mpscnn::bindings
