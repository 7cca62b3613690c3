#include "api/graph_description.h"

namespace mpscnn::c_api {

namespace {

/// Return the shape of the input for one image. `height` and `width` replace free extents.
Shape with_size(const engine::Input &input, std::int64_t height, std::int64_t width) {
    Shape shape = input.shape.with_batch(1);
    if (shape.rank() == 4) {
        if (shape[1] == Shape::any && height > 0) shape[1] = height;
        if (shape[2] == Shape::any && width > 0) shape[2] = width;
    }
    if (!shape.fixed())
        fail(ErrorKind::shape, {"input ", quoted(input.name), " has free extents, ", input.shape.text(),
                                ": the height and width must be given"});
    return shape;
}

Json port(const std::string &name, const Shape &shape) {
    Json result = Json::object();
    result.set("name", name);
    result.set("shape", json_of(shape));
    return result;
}

Json describe_layer(const engine::LayerSummary &layer) {
    Json result = Json::object();
    result.set("name", layer.name);
    result.set("operation", layer.operation);
    result.set("output", json_of(layer.output));
    result.set("parameters", layer.parameters);
    result.set("macs", layer.cost.macs);
    result.set("flops", layer.cost.flops);
    return result;
}

Json describe_weight(const engine::Node &node, const ops::WeightSpec &spec) {
    const auto stored = node.weights.find(spec.role);
    const bool set = stored != node.weights.end();
    Json result = Json::object();
    result.set("layer", node.name);
    result.set("role", spec.role);
    result.set("shape", json_of(spec.shape));
    result.set("required", spec.required);
    result.set("set", set);
    result.set("dtype", set ? Json(name_of(stored->second.type())) : Json());
    return result;
}

} // namespace

Json json_of(const Shape &shape) { return Json(std::vector<std::int64_t>(shape.begin(), shape.end())); }

Json describe(const engine::Graph &graph, std::int64_t height, std::int64_t width) {
    std::vector<Shape> input_shapes;
    for (const engine::Input &input : graph.inputs()) input_shapes.push_back(with_size(input, height, width));
    const std::vector<Shape> shapes = graph.infer_shapes(input_shapes);

    Json inputs = Json::array(), outputs = Json::array(), layers = Json::array();
    for (const engine::Input &input : graph.inputs()) inputs.push_back(port(input.name, input.shape));
    for (engine::ValueId value : graph.outputs())
        outputs.push_back(port(graph.value_name(value), shapes[static_cast<std::size_t>(value)]));
    for (const engine::LayerSummary &layer : graph.summary(input_shapes))
        layers.push_back(describe_layer(layer));

    Json result = Json::object();
    result.set("name", graph.name());
    result.set("inputs", std::move(inputs));
    result.set("outputs", std::move(outputs));
    result.set("layers", std::move(layers));
    return result;
}

Json describe_weights(const engine::Graph &graph) {
    Json result = Json::array();
    for (std::size_t i = 0; i < graph.nodes().size(); ++i)
        for (const ops::WeightSpec &spec : graph.weight_specs(i))
            result.push_back(describe_weight(graph.nodes()[i], spec));
    return result;
}

} // namespace mpscnn::c_api
