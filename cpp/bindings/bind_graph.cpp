#include <pybind11/stl.h>

#include "arrays.h"
#include "bind.h"
#include "exclusive.h"

namespace mpscnn::bindings {

namespace {

void set_weight(Graph &graph, const std::string &layer, const std::string &role, const py::object &array,
                const std::vector<float> &scales, const std::vector<float> &zero_points) {
    graph.set_weight(layer, role, weight_tensor(array, layer + "." + role), {scales, zero_points});
}

/// Return a copy: the graph's memory may be freed when the weight is set again.
py::tuple get_weight(const Graph &graph, const std::string &layer, const std::string &role) {
    const Weight weight = graph.weight(layer, role);
    return py::make_tuple(copy_of(weight.tensor), weight.quantization.scales,
                          weight.quantization.zero_points);
}

} // namespace

void bind_graph(py::module_ &module) {
    py::class_<Graph>(module, "Graph", "A network as the core knows it.")
        .def(py::init(&Graph::create), py::arg("name"))
        .def_static(
            "from_json", [](const std::string &json) { return Graph::from_json(json); }, py::arg("json"),
            py::call_guard<Exclusive>())
        .def(
            "add_input",
            [](Graph &graph, const std::string &name, const Shape &shape) {
                return graph.add_input(name, shape);
            },
            py::arg("name"), py::arg("shape"), py::call_guard<Exclusive>())
        .def(
            "add_node",
            [](Graph &graph, const std::string &operation, const std::string &name,
               const std::vector<Value> &inputs, const std::string &attributes,
               const std::string &activation) {
                return graph.add_node(operation, name, inputs, attributes, activation);
            },
            py::arg("operation"), py::arg("name"), py::arg("inputs"), py::arg("attributes") = "",
            py::arg("activation") = "", py::call_guard<Exclusive>())
        .def(
            "add_variable",
            [](Graph &graph, const std::string &name, const Shape &shape) {
                return graph.add_variable(name, shape);
            },
            py::arg("name"), py::arg("shape"), py::call_guard<Exclusive>())
        .def("use_variable", &Graph::use_variable, py::arg("layer"), py::arg("role"), py::arg("variable"),
             py::call_guard<Exclusive>())
        .def("mark_output", &Graph::mark_output, py::arg("value"), py::call_guard<Exclusive>())
        .def("keep_float32", &Graph::keep_float32, py::arg("value"), py::arg("keep"),
             py::call_guard<Exclusive>())
        .def("keep_positions", &Graph::keep_positions, py::call_guard<Exclusive>())
        .def("set_learning", &Graph::set_learning, py::arg("value"), py::arg("learns"),
             py::call_guard<Exclusive>())
        .def("quantize", &Graph::quantize, py::arg("value"), py::arg("type"), py::arg("scale"),
             py::arg("zero_point"), py::call_guard<Exclusive>())
        .def(
            "shape", [](const Graph &graph, Value value) { return tuple_of(graph.shape(value)); },
            py::arg("value"), py::call_guard<Exclusive>())
        .def("set_weight", &set_weight, py::arg("layer"), py::arg("role"), py::arg("array"),
             py::arg("scales") = std::vector<float>(), py::arg("zero_points") = std::vector<float>(),
             py::call_guard<Exclusive>())
        .def("share_weight", &Graph::share_weight, py::arg("layer"), py::arg("role"), py::arg("source"),
             py::arg("source_layer"), py::call_guard<Exclusive>())
        .def("get_weight", &get_weight, py::arg("layer"), py::arg("role"), py::call_guard<Exclusive>())
        .def("copy", &Graph::copy, py::call_guard<Exclusive>())
        .def("scores", &Graph::scores, py::call_guard<Exclusive>())
        .def("to_json", &Graph::to_json, py::call_guard<Exclusive>())
        .def("weights", &Graph::weights_json, py::call_guard<Exclusive>())
        .def("describe", &Graph::describe, py::arg("height") = 0, py::arg("width") = 0,
             py::call_guard<Exclusive>());
}

} // namespace mpscnn::bindings
