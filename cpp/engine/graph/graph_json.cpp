// The JSON form of a graph, for model files and the C interface. docs/model_format.md describes it.

#include "engine/graph/graph.h"

namespace mpscnn::engine {

Json Graph::to_json() const {
    Json inputs = Json::array();
    for (const Input &input : inputs_) {
        Json entry = Json::object();
        entry.set("name", input.name);
        entry.set("shape", Json(std::vector<std::int64_t>(input.shape.begin(), input.shape.end())));
        if (input.is_variable) entry.set("variable", true);
        if (input.quantization) entry.set("quantization", input.quantization->to_json());
        if (!input.sizes.ranges.empty()) entry.set("sizes", input.sizes.to_json());
        inputs.push_back(std::move(entry));
    }
    Json nodes = Json::array();
    for (const Node &node : nodes_) {
        Json entry = Json::object();
        entry.set("name", node.name);
        entry.set("operation", ops::info_of(node.operation).name);
        Json arguments = Json::array();
        for (ValueId value : node.inputs) arguments.push_back(value_name(value));
        entry.set("inputs", std::move(arguments));
        entry.set("attributes", ops::attributes_of(node.operation));
        if (node.activation) entry.set("activation", ops::attributes_of(*node.activation));
        if (node.keep_float32) entry.set("keep_float32", true);
        if (node.learns) entry.set("learns", *node.learns);
        if (node.quantization) entry.set("quantization", node.quantization->to_json());
        if (!node.variables.empty()) {
            Json variables = Json::object();
            for (const auto &[role, variable] : node.variables) variables.set(role, value_name(variable));
            entry.set("variables", std::move(variables));
        }
        nodes.push_back(std::move(entry));
    }
    Json outputs = Json::array();
    for (ValueId value : outputs_) outputs.push_back(value_name(value));
    Json result = Json::object();
    result.set("name", name_);
    result.set("inputs", std::move(inputs));
    result.set("nodes", std::move(nodes));
    result.set("outputs", std::move(outputs));
    return result;
}

namespace {

std::vector<ValueId> read_arguments(const Graph &graph, const JsonView &names) {
    std::vector<ValueId> result;
    for (std::size_t i = 0; i < names.size(); ++i) {
        const JsonView name = names.at(i);
        try {
            result.push_back(graph.find(name.get<std::string>()));
        } catch (const Error &error) {
            name.refuse(std::string(error.what()) + " before this one");
        }
    }
    return result;
}

void read_node(Graph &graph, const JsonView &entry) {
    entry.allow_only({"name", "operation", "inputs", "attributes", "activation", "keep_float32", "learns",
                      "quantization"});
    const Json none = Json::object();
    ops::Operation operation =
        ops::make_operation(entry.at("operation").get<std::string>(),
                            entry.has("attributes") ? entry.at("attributes").value() : none);
    std::optional<ops::Neuron> activation;
    if (entry.has("activation")) activation = ops::make_neuron(entry.at("activation").value());
    const ValueId value = graph.add_node(entry.at("name").get<std::string>(), std::move(operation),
                                         read_arguments(graph, entry.at("inputs")), activation);
    if (entry.has("quantization")) graph.quantize(value, Quantization::from_json(entry.at("quantization")));
    if (entry.has("keep_float32")) graph.keep_float32(value, entry.at("keep_float32").get<bool>());
    if (entry.has("learns")) graph.set_learning(value, entry.at("learns").get<bool>());
}

} // namespace

Graph Graph::from_json(const Json &json, ErrorKind kind) {
    const JsonView root(json, "graph", kind);
    root.allow_only({"name", "inputs", "nodes", "outputs"});
    try {
        Graph graph(root.at("name").get<std::string>());
        const JsonView inputs = root.at("inputs");
        for (std::size_t i = 0; i < inputs.size(); ++i) {
            const JsonView entry = inputs.at(i);
            entry.allow_only({"name", "shape", "quantization", "sizes"});
            const auto extents = entry.at("shape").get<std::vector<std::int64_t>>();
            const ValueId input = graph.add_input(entry.at("name").get<std::string>(),
                                                  Shape(std::span<const std::int64_t>(extents)));
            if (entry.has("quantization"))
                graph.quantize(input, Quantization::from_json(entry.at("quantization")));
            if (entry.has("sizes")) graph.allow_sizes(input, AllowedSizes::from_json(entry.at("sizes")));
        }
        const JsonView nodes = root.at("nodes");
        for (std::size_t i = 0; i < nodes.size(); ++i) read_node(graph, nodes.at(i));
        for (ValueId value : read_arguments(graph, root.at("outputs"))) graph.mark_output(value);
        return graph;
    } catch (const Error &error) {
        throw Error(kind, error.what());
    }
}

} // namespace mpscnn::engine
