#include <pybind11/stl.h>

#include "arrays.h"
#include "bind.h"
#include "exclusive.h"
#include "kept_graph.h"

namespace mpscnn::bindings {

namespace {

void set_weight(KeptGraph &graph, const std::string &layer, const std::string &role, const py::object &array,
                const std::vector<float> &scales, const std::vector<float> &zero_points) {
    graph.set_weight(layer, role, weight_tensor(array, layer + "." + role), {scales, zero_points});
}

/// Return a copy: the graph's memory may be freed when the weight is set again.
py::tuple get_weight(const KeptGraph &graph, const std::string &layer, const std::string &role) {
    const Weight weight = graph.weight(layer, role);
    return py::make_tuple(copy_of(weight.tensor), weight.quantization.scales,
                          weight.quantization.zero_points);
}

/// Make the binding of a method that changes the structure.
template <class... Arguments> auto changing(void (Graph::*method)(Arguments...)) {
    return [method](KeptGraph &graph, Arguments... arguments) {
        (graph.changed().*method)(std::forward<Arguments>(arguments)...);
    };
}

} // namespace

void bind_graph(py::module_ &module) {
    py::class_<KeptGraph>(module, "Graph", "A network as the core knows it.")
        .def(py::init([](const std::string &name) { return KeptGraph(Graph::create(name)); }),
             py::arg("name"))
        .def_static(
            "from_json", [](const std::string &json) { return KeptGraph(Graph::from_json(json)); },
            py::arg("json"), py::call_guard<Exclusive>())
        .def(
            "add_input",
            [](KeptGraph &graph, const std::string &name, const Shape &shape) {
                return graph.changed().add_input(name, shape);
            },
            py::arg("name"), py::arg("shape"), py::call_guard<Exclusive>())
        .def(
            "add_node",
            [](KeptGraph &graph, const std::string &operation, const std::string &name,
               const std::vector<Value> &inputs, const std::string &attributes,
               const std::string &activation) {
                return graph.changed().add_node(operation, name, inputs, attributes, activation);
            },
            py::arg("operation"), py::arg("name"), py::arg("inputs"), py::arg("attributes") = "",
            py::arg("activation") = "", py::call_guard<Exclusive>())
        .def(
            "add_variable",
            [](KeptGraph &graph, const std::string &name, const Shape &shape) {
                return graph.changed().add_variable(name, shape);
            },
            py::arg("name"), py::arg("shape"), py::call_guard<Exclusive>())
        .def("use_variable", changing(&Graph::use_variable), py::arg("layer"), py::arg("role"),
             py::arg("variable"), py::call_guard<Exclusive>())
        .def("mark_output", changing(&Graph::mark_output), py::arg("value"), py::call_guard<Exclusive>())
        .def("keep_float32", changing(&Graph::keep_float32), py::arg("value"), py::arg("keep"),
             py::call_guard<Exclusive>())
        .def("keep_positions", changing(&Graph::keep_positions), py::call_guard<Exclusive>())
        .def("set_learning", changing(&Graph::set_learning), py::arg("value"), py::arg("learns"),
             py::call_guard<Exclusive>())
        .def("quantize", changing(&Graph::quantize), py::arg("value"), py::arg("type"), py::arg("scale"),
             py::arg("zero_point"), py::call_guard<Exclusive>())
        .def(
            "shape", [](const KeptGraph &graph, Value value) { return tuple_of(graph.shape(value)); },
            py::arg("value"), py::call_guard<Exclusive>())
        .def("set_weight", &set_weight, py::arg("layer"), py::arg("role"), py::arg("array"),
             py::arg("scales") = std::vector<float>(), py::arg("zero_points") = std::vector<float>(),
             py::call_guard<Exclusive>())
        .def(
            "share_weight",
            [](KeptGraph &graph, const std::string &layer, const std::string &role, const KeptGraph &source,
               const std::string &source_layer) { graph.share_weight(layer, role, source, source_layer); },
            py::arg("layer"), py::arg("role"), py::arg("source"), py::arg("source_layer"),
            py::call_guard<Exclusive>())
        .def("get_weight", &get_weight, py::arg("layer"), py::arg("role"), py::call_guard<Exclusive>())
        .def(
            "copy", [](const KeptGraph &graph) { return KeptGraph(graph.copy()); },
            py::call_guard<Exclusive>())
        .def("scores", &KeptGraph::scores, py::call_guard<Exclusive>())
        .def("to_json", &KeptGraph::text, py::call_guard<Exclusive>())
        .def("weights", &KeptGraph::weights_json, py::call_guard<Exclusive>())
        .def("describe", &KeptGraph::describe, py::arg("height") = 0, py::arg("width") = 0,
             py::call_guard<Exclusive>());
}

} // namespace mpscnn::bindings
