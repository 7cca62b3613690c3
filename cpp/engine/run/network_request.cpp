#include "engine/run/network_request.h"

#include <array>
#include <cstdio>
#include <string_view>
#include <utility>

#include "core/text.h"
#include "engine/file/model_file.h"

namespace mpscnn::engine {

namespace {

constexpr std::string_view network_word = "network ";

std::vector<Shape> with_extent(const Graph &graph, std::int64_t extent) {
    std::vector<Shape> shapes;
    for (const Input &input : graph.inputs()) {
        Shape shape = input.shape.with_batch(1);
        for (int axis = 1; axis < shape.rank(); ++axis)
            if (shape[axis] == Shape::any) shape[axis] = extent;
        shapes.push_back(shape);
    }
    return shapes;
}

Json json_of_program(const WrittenProgram &program) {
    Json json = Json::object();
    json.set("path", program.path);
    json.set("inputs", program.inputs);
    json.set("outputs", program.outputs);
    json.set("weight_bytes", program.weight_bytes);
    return json;
}

} // namespace

WrittenProgram program_of(const JsonView &view) {
    return {view.at("path").get<std::string>(), view.at("inputs").get<std::vector<std::string>>(),
            view.at("outputs").get<std::vector<std::string>>(), view.at("weight_bytes").get<std::uint64_t>()};
}

std::string NetworkRequest::text() const {
    Json json = Json::object();
    json.set("file", file);
    json.set("precision", options.precision);
    json.set("weights", options.weights);
    json.set("accumulate_dtype", options.accumulate_dtype);
    json.set("winograd", options.winograd);
    json.set("metal_kernels", options.metal_kernels);
    // A number in JSON has 63 bits, and so much memory is no limit.
    json.set("max_memory", static_cast<std::int64_t>(options.max_memory & INT64_MAX));
    json.set("refused", refused);
    json.set("cold", cold);
    if (program) json.set("program", json_of_program(*program));
    return std::string(network_word) + to_text(json);
}

Graph NetworkRequest::take_graph() const {
    ModelFile model = ModelFile::map(file);
    std::remove(file.c_str());
    return std::move(model.graph);
}

Precision NetworkRequest::precision() const {
    for (const Precision precision : all_precisions)
        if (options.precision == name_of(precision)) return precision;
    fail(ErrorKind::parameter, {"request: there is no precision ", quoted(options.precision)});
}

std::optional<NetworkRequest> NetworkRequest::parse(const std::string &text) {
    if (!text.starts_with(network_word)) return std::nullopt;
    const Json json = parse_json(std::string_view(text).substr(network_word.size()));
    const JsonView view(json, "request");
    NetworkRequest request;
    request.file = view.at("file").get<std::string>();
    request.options.precision = view.at("precision").get<std::string>();
    request.options.weights = view.at("weights").get<std::string>();
    request.options.accumulate_dtype = view.at("accumulate_dtype").get<std::string>();
    request.options.winograd = view.at("winograd").get<bool>();
    request.options.metal_kernels = view.at("metal_kernels").get<std::string>();
    request.options.max_memory = view.at("max_memory").get<std::uint64_t>();
    request.refused = view.at("refused").get<std::vector<std::string>>();
    request.cold = view.at("cold").get<bool>();
    if (view.has("program")) request.program = program_of(view.at("program"));
    return request;
}

std::optional<std::vector<Shape>> shapes_for_preflight(const Graph &graph) {
    for (const std::int64_t extent : {224, 256, 64, 32, 28}) {
        std::vector<Shape> shapes = with_extent(graph, extent);
        try {
            graph.infer_shapes(shapes);
            return shapes;
        } catch (const Error &error) {
            if (error.kind() != ErrorKind::shape) throw;
        }
    }
    return std::nullopt;
}

} // namespace mpscnn::engine
