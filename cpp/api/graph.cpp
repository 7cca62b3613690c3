#include "engine/graph/graph.h"
#include "core/text.h"
#include "engine/graph/scores.h"
#include "engine/run/exact_positions.h"

#include <algorithm>
#include <optional>

#include "api/graph_description.h"
#include "api/guard.h"
#include "api/handles.h"
#include "api/stored_weight.h"
#include "api/tensors.h"

using namespace mpscnn;
using c_api::guarded;
using c_api::require;
using c_api::text;

namespace {

void require_value(const engine::Graph &graph, int value) {
    if (value < 0 || value >= graph.values())
        fail(ErrorKind::parameter,
             {"network ", quoted(graph.name()), " has no value ", value, "; there are ", graph.values()});
}

std::optional<ops::Neuron> activation_of(const char *json) {
    if (!json) return std::nullopt;
    return ops::make_neuron(parse_json(json));
}

const engine::WeightTensor &stored_weight(const engine::Graph &graph, std::string_view layer,
                                          std::string_view role) {
    const engine::ValueId value = graph.find(layer);
    if (!graph.is_input(value)) {
        const auto &weights = graph.producer(value).weights;
        if (const auto found = weights.find(std::string(role)); found != weights.end()) return found->second;
    }
    fail(ErrorKind::weights, {"layer ", quoted(layer), ": no weight ", quoted(role), " has been set"});
}

} // namespace

mpscnn_status mpscnn_graph_create(const char *name, mpscnn_graph **graph) {
    return guarded([&] {
        require(graph, "graph");
        *graph = new mpscnn_graph{.graph = engine::Graph(std::string(text(name, "name")))};
    });
}

mpscnn_status mpscnn_graph_from_json(const char *json, size_t size, mpscnn_graph **graph) {
    return guarded([&] {
        require(json, "json");
        require(graph, "graph");
        *graph = new mpscnn_graph{.graph = engine::Graph::from_json(parse_json({json, size}))};
    });
}

void mpscnn_graph_release(mpscnn_graph *graph) { mpscnn::c_api::release(graph); }

mpscnn_status mpscnn_graph_add_input(mpscnn_graph *graph, const char *name, const int64_t *shape, int rank,
                                     int *value) {
    return guarded([&] {
        require(graph, "graph");
        require(shape, "shape");
        require(value, "value");
        const std::string input(text(name, "name"));
        *value = graph->graph.add_input(input, c_api::shape_of(shape, rank, name));
    });
}

mpscnn_status mpscnn_graph_add_variable(mpscnn_graph *graph, const char *name, const int64_t *shape, int rank,
                                        int *value) {
    return guarded([&] {
        require(graph, "graph");
        require(shape, "shape");
        require(value, "value");
        const std::string variable(text(name, "name"));
        *value = graph->graph.add_variable(variable, c_api::shape_of(shape, rank, name));
    });
}

mpscnn_status mpscnn_graph_use_variable(mpscnn_graph *graph, int layer, const char *role, int variable) {
    return guarded([&] {
        require(graph, "graph");
        graph->graph.use_variable(layer, std::string(text(role, "role")), variable);
    });
}

mpscnn_status mpscnn_graph_add_node(mpscnn_graph *graph, const char *operation, const char *name,
                                    const int *inputs, int input_count, const char *attributes,
                                    const char *activation, int *value) {
    return guarded([&] {
        require(graph, "graph");
        require(value, "value");
        c_api::require_array(inputs, input_count, "inputs");
        const Json parameters = attributes ? parse_json(attributes) : Json::object();
        *value = graph->graph.add_node(
            std::string(text(name, "name")), ops::make_operation(text(operation, "operation"), parameters),
            std::vector<engine::ValueId>(inputs, inputs + input_count), activation_of(activation));
    });
}

mpscnn_status mpscnn_graph_mark_output(mpscnn_graph *graph, int value) {
    return guarded([&] {
        require(graph, "graph");
        require_value(graph->graph, value);
        graph->graph.mark_output(value);
    });
}

mpscnn_status mpscnn_graph_keep_float32(mpscnn_graph *graph, int value, int keep) {
    return guarded([&] {
        require(graph, "graph");
        require_value(graph->graph, value);
        graph->graph.keep_float32(value, keep != 0);
    });
}

mpscnn_status mpscnn_graph_keep_positions(mpscnn_graph *graph) {
    return guarded([&] {
        require(graph, "graph");
        engine::keep_positions(graph->graph);
    });
}

mpscnn_status mpscnn_graph_set_learning(mpscnn_graph *graph, int value, int learns) {
    return guarded([&] {
        require(graph, "graph");
        require_value(graph->graph, value);
        graph->graph.set_learning(value, learns != 0);
    });
}

mpscnn_status mpscnn_graph_quantize(mpscnn_graph *graph, int value, const char *type, float scale,
                                    int zero_point) {
    return guarded([&] {
        require(graph, "graph");
        require_value(graph->graph, value);
        graph->graph.quantize(value, engine::make_quantization(text(type, "type"), scale, zero_point,
                                                               quoted(graph->graph.value_name(value))));
    });
}

mpscnn_status mpscnn_graph_shape(const mpscnn_graph *graph, int value, int64_t shape[MPSCNN_MAX_RANK],
                                 int *rank) {
    return guarded([&] {
        require(graph, "graph");
        require(shape, "shape");
        require(rank, "rank");
        require_value(graph->graph, value);
        c_api::give_shape(graph->graph.shape(value), shape, rank);
    });
}

mpscnn_status mpscnn_graph_scores(const mpscnn_graph *graph, const char **scores) {
    return guarded([&] {
        require(graph, "graph");
        require(scores, "scores");
        const std::optional<engine::Scores> found = engine::scores_of(graph->graph);
        *scores = found ? name_of(*found) : nullptr;
    });
}

mpscnn_status mpscnn_graph_set_weight(mpscnn_graph *graph, const char *layer, const char *role,
                                      const mpscnn_tensor *tensor, const float *scales,
                                      const float *zero_points, int64_t quantization_count) {
    return guarded([&] {
        require(graph, "graph");
        require(tensor, "tensor");
        const std::string where = concat({text(layer, "layer"), ".", text(role, "role")});
        graph->graph.set_weight(layer, role,
                                c_api::weight_of(*tensor, scales, zero_points, quantization_count, where));
    });
}

mpscnn_status mpscnn_graph_share_weight(mpscnn_graph *graph, const char *layer, const char *role,
                                        const mpscnn_graph *source, const char *source_layer) {
    return guarded([&] {
        require(graph, "graph");
        require(source, "source");
        graph->graph.set_weight(
            text(layer, "layer"), text(role, "role"),
            stored_weight(source->graph, text(source_layer, "source_layer"), text(role, "role")));
    });
}

mpscnn_status mpscnn_graph_get_weight(const mpscnn_graph *graph, const char *layer, const char *role,
                                      mpscnn_tensor *tensor, const float **scales, const float **zero_points,
                                      int64_t *quantization_count) {
    return guarded([&] {
        require(graph, "graph");
        require(tensor, "tensor");
        const engine::WeightTensor &weight =
            stored_weight(graph->graph, text(layer, "layer"), text(role, "role"));
        *tensor = c_api::tensor_of(weight);
        if (scales) *scales = weight.scales().data();
        if (zero_points) *zero_points = weight.zero_points().data();
        if (quantization_count) *quantization_count = static_cast<int64_t>(weight.scales().size());
    });
}

mpscnn_status mpscnn_graph_copy(const mpscnn_graph *graph, mpscnn_graph **copy) {
    return guarded([&] {
        require(graph, "graph");
        require(copy, "copy");
        *copy = new mpscnn_graph{.graph = graph->graph};
    });
}

mpscnn_status mpscnn_graph_to_json(const mpscnn_graph *graph, mpscnn_text **json) {
    return guarded([&] {
        require(graph, "graph");
        require(json, "json");
        c_api::give(to_text(graph->graph.to_json()), json);
    });
}

mpscnn_status mpscnn_graph_describe(const mpscnn_graph *graph, int64_t height, int64_t width,
                                    mpscnn_text **json) {
    return guarded([&] {
        require(graph, "graph");
        require(json, "json");
        c_api::give(to_text(c_api::describe(graph->graph, height, width)), json);
    });
}

mpscnn_status mpscnn_graph_weights(const mpscnn_graph *graph, mpscnn_text **json) {
    return guarded([&] {
        require(graph, "graph");
        require(json, "json");
        c_api::give(to_text(c_api::describe_weights(graph->graph)), json);
    });
}
