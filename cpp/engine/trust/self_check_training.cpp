#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "core/json.h"
#include "core/text.h"
#include "engine/trust/self_check.h"
#include "ops/op_list.h"

namespace mpscnn::engine {

namespace {

/// An operation on tensors of the graph's own, as training has them: their shapes, as JSON. `positive` has
/// the numbers of those that must not be negative.
struct CheckedTraining {
    const char *name, *operation, *attributes, *shapes;
    const char *positive = "";
};

constexpr CheckedTraining checked_training[] = {
    {"sums over pixels", "sum_like", "{}", "[[2,7,5,6],[1,1,1,6]]"},
    {"sums over many pixels", "sum_like", "{}", "[[3,65,67,6],[1,6]]"},
    {"sum of squares", "squared_sum", "{}", "[[3,65,67,6]]"},
    {"dropout of a step", "step_dropout", R"({"training":true,"seed":3})", "[[2,7,5,6],[1,1]]", "1"},
    {"gradient made ready", "optimizer_gradient",
     R"({"clip":true,"minimum":-0.5,"maximum":0.25,"rescale":0.5,"regularization":"l1","regularization_scale":0.1})",
     "[[9,3,3,6],[9,3,3,6]]"},
    {"gradient made ready by a factor", "optimizer_gradient",
     R"({"regularization":"l2","regularization_scale":0.1})", "[[9,3,3,6],[9,3,3,6],[1,1]]"},
    {"moving average", "moving_average", R"({"rate":0.75})", "[[9,3,3,6],[9,3,3,6]]"},
    {"moving average of squares", "moving_average", R"({"rate":0.75,"squares":true})",
     "[[9,3,3,6],[9,3,3,6]]"},
    {"momentum", "momentum_update", R"({"momentum":0.75})", "[[9,3,3,6],[9,3,3,6],[1,2]]"},
    {"momentum, Nesterov's", "momentum_update", R"({"momentum":0.75,"nesterov":true})",
     "[[9,3,3,6],[9,3,3,6],[1,2]]"},
    {"descent", "sgd_update", R"({"weight_decay":0.25})", "[[9,3,3,6],[9,3,3,6],[1,2]]"},
    {"descent with momentum", "sgd_update", "{}", "[[9,3,3,6],[9,3,3,6],[1,2],[9,3,3,6]]"},
    {"descent with Nesterov's momentum", "sgd_update", R"({"momentum":0.75,"nesterov":true})",
     "[[9,3,3,6],[9,3,3,6],[1,2],[9,3,3,6]]"},
    {"adaptive update", "adaptive_update", R"({"epsilon":0.125,"weight_decay":0.25})",
     "[[9,3,3,6],[9,3,3,6],[9,3,3,6],[1,2]]", "2"},
    {"sums of a batch normalization", "batch_normalization_sums", "{}", "[[2,37,51,6],[2,37,51,6],[1,2,1,6]]",
     "2"},
    {"gradient of a batch normalization", "batch_normalization_gradient", "{}",
     "[[2,7,5,6],[2,7,5,6],[1,2,1,6],[1,2,1,6],[1,6]]", "2"},
    {"gradient of a group normalization", "group_normalization_gradient", R"({"groups":2})",
     "[[2,7,5,6],[2,7,5,6],[1,6]]"},
    {"gradient of a layer normalization", "layer_normalization_gradient", "{}",
     "[[2,7,5,6],[2,7,5,6],[1,6]]"},
    {"gradient of a cross-channel normalization", "cross_channel_normalization_gradient",
     R"({"kernel_size":4,"alpha":0.5,"beta":0.75,"delta":2.0})", "[[2,7,5,6],[2,7,5,6]]"},
    {"gradient of a convolution's input", "convolution_data_gradient",
     R"({"output_channels":4,"kernel_height":3,"kernel_width":2,"stride_y":2,"dilation_x":2,"padding":"same","groups":2})",
     "[[2,4,5,4],[4,3,2,3],[2,7,5,6]]"},
    {"gradient of a convolution's weights", "convolution_weight_gradient",
     R"({"output_channels":4,"kernel_height":3,"kernel_width":2,"stride_y":2,"dilation_x":2,"padding":"same","groups":2})",
     "[[2,7,5,6],[2,4,5,4]]"},
    {"gradient of a convolution's weights, large", "convolution_weight_gradient",
     R"({"output_channels":8,"kernel_height":3,"kernel_width":3,"padding":"same"})",
     "[[2,37,51,6],[2,37,51,8]]"},
    {"gradient of a convolution's input, even window", "convolution_data_gradient",
     R"({"output_channels":9,"kernel_height":2,"kernel_width":4,"stride_x":2,"dilation_y":2,"padding":"same"})",
     "[[2,7,3,9],[9,2,4,6],[2,7,5,6]]"},
    {"gradient of a convolution's weights, even window", "convolution_weight_gradient",
     R"({"output_channels":9,"kernel_height":2,"kernel_width":4,"stride_x":2,"dilation_y":2,"padding":"same"})",
     "[[2,7,5,6],[2,7,3,9]]"},
    {"gradient of a grouped convolution's input", "convolution_data_gradient",
     R"({"output_channels":8,"kernel_height":3,"kernel_width":3,"padding":"same","groups":2})",
     "[[2,7,5,8],[8,3,3,4],[2,7,5,8]]"},
    {"gradient of a grouped convolution's weights", "convolution_weight_gradient",
     R"({"output_channels":8,"kernel_height":3,"kernel_width":3,"padding":"same","groups":2})",
     "[[2,7,5,8],[2,7,5,8]]"},
    {"gradient of a depthwise convolution's input", "convolution_data_gradient",
     R"({"output_channels":6,"kernel_height":3,"kernel_width":3,"stride_y":2,"stride_x":2,"padding":"same","groups":6})",
     "[[2,4,3,6],[6,3,3,1],[2,7,5,6]]"},
    {"gradient of a depthwise convolution's weights", "convolution_weight_gradient",
     R"({"output_channels":6,"kernel_height":3,"kernel_width":3,"stride_y":2,"stride_x":2,"padding":"same","groups":6})",
     "[[2,7,5,6],[2,4,3,6]]"},
    {"gradient of a dense layer's input", "convolution_data_gradient", R"({"output_channels":4})",
     "[[3,1,1,4],[4,1,1,9],[3,1,1,9]]"},
    {"gradient of a dense layer's weights", "convolution_weight_gradient", R"({"output_channels":4})",
     "[[3,1,1,9],[3,1,1,4]]"},
    {"gradient of gathered columns", "gather_gradient", R"({"axis":2,"indices":[4,2,2,0,1,4],"extent":5})",
     "[[2,7,6,3]]"},
    {"gradient of gathered channels", "gather_gradient", R"({"indices":[2,0,0,3],"extent":5})",
     "[[2,7,5,4]]"},
    {"gradient of a resize", "resize_gradient", R"({"height":9,"width":12})", "[[2,9,12,6],[2,7,5,6]]"},
    {"gradient of repeated pixels", "resize_gradient", R"({"kind":"nearest","height":14,"width":15})",
     "[[2,14,15,6],[2,7,5,6]]"},
    {"gradient of softmax", "softmax_gradient", "{}", "[[2,7,5,6],[2,7,5,6]]"},
    {"gradient of logarithmic softmax", "softmax_gradient", R"({"logarithm":true})", "[[2,7,5,6],[2,7,5,6]]"},
};

Graph network_of(const CheckedTraining &checked) {
    Graph graph(concat({"self-check: ", checked.name}));
    std::vector<ValueId> tensors;
    const Json shapes = parse_json(checked.shapes);
    for (const Json &extents : *shapes.get_if<Json::Array>()) {
        const std::string number = std::to_string(tensors.size());
        const bool positive = std::string_view(checked.positive).find(number) != std::string_view::npos;
        const auto shape = extents.get<std::vector<std::int64_t>>();
        tensors.push_back(graph.add_variable(concat({positive ? self_check_positive : "tensor ", number}),
                                             Shape(std::span<const std::int64_t>(shape))));
    }
    graph.mark_output(graph.add_node(
        checked.name, ops::make_operation(checked.operation, parse_json(checked.attributes)), tensors));
    return graph;
}

/// Tensors of an image's extents, and an operation of theirs. The second one is not negative.
Graph network_of_two(const std::string &name, const ops::Operation &operation, bool first_positive = false,
                     bool second_positive = true) {
    Graph graph("self-check: " + name);
    const auto tensor = [&](bool positive, const char *number) {
        return graph.add_variable(concat({positive ? self_check_positive : "tensor ", number}), {2, 7, 5, 6});
    };
    std::vector<ValueId> tensors{tensor(first_positive, "0"), tensor(second_positive, "1")};
    const auto *gradient = std::get_if<ops::NeuronGradient>(&operation);
    if (gradient && gradient->neuron.kind == ops::NeuronKind::prelu)
        tensors.push_back(graph.add_variable("slopes", {1, 6}));
    graph.mark_output(graph.add_node(name, operation, std::move(tensors)));
    return graph;
}

/// With the pooling itself, whose maxima are elements of its input.
Graph network_of_pooling(const char *name, const char *attributes) {
    Graph graph(concat({"self-check: ", name}));
    const ops::Operation pooling = ops::make_operation("pooling", parse_json(attributes));
    const Shape image{2, 7, 5, 6};
    const ValueId x = graph.add_variable("tensor 0", image);
    const ValueId gradient =
        graph.add_variable("tensor 1", ops::output_shape(pooling, std::span<const Shape>(&image, 1)));
    const ValueId pooled = graph.add_node("pooled", pooling, {x});
    graph.mark_output(
        graph.add_node(name, ops::PoolingGradient{std::get<ops::Pooling>(pooling)}, {gradient, x, pooled}));
    return graph;
}

/// A layer whose weights are tensors of the graph.
Graph network_with_variables(const char *operation, const char *attributes) {
    Graph graph(concat({"self-check: ", operation, " of variables"}));
    std::vector<ValueId> inputs{graph.add_input("image", {Shape::any, 7, 5, 6})};
    const bool by_batch = std::string_view(operation) == ops::BatchNormalization::info.name;
    std::vector<std::pair<std::string, ValueId>> weights;
    ops::Operation layer = ops::make_operation(operation, parse_json(attributes));
    const Shape image{Shape::any, 7, 5, 6}, statistics{1, 2, 1, 6};
    const std::vector<Shape> shapes =
        by_batch ? std::vector<Shape>{image, statistics} : std::vector<Shape>{image};
    for (const ops::WeightSpec &spec : ops::weight_specs(layer, shapes))
        weights.emplace_back(spec.role, graph.add_variable(spec.role, variable_shape(spec.shape)));
    if (by_batch) inputs.push_back(graph.add_node("statistics", ops::BatchStatistics{}, inputs));
    const ValueId result = graph.add_node(concat({operation, " of variables"}), std::move(layer), inputs,
                                          ops::Neuron{.kind = ops::NeuronKind::relu});
    for (const auto &[role, variable] : weights) graph.use_variable(result, role, variable);
    graph.mark_output(result);
    return graph;
}

/// Labels of which some have a box, some are of the background and some do not count.
Graph network_of_detector(const std::string &name, const ops::Operation &operation) {
    Graph graph("self-check: " + name);
    const Shape anchors{2, 37, 7};
    const ValueId prediction = graph.add_variable("tensor 0", anchors);
    ops::Subtraction difference;
    difference.bias = -0.5f;
    difference.minimum = 0.0f;
    const ValueId labels =
        graph.add_node("labels", difference,
                       {graph.add_variable("tensor 1", anchors), graph.add_variable("tensor 2", anchors)});
    graph.mark_output(graph.add_node(name, operation, {prediction, labels}));
    return graph;
}

bool takes_logarithm(ops::LossKind kind) {
    return kind == ops::LossKind::categorical_cross_entropy || kind == ops::LossKind::log;
}

void append_losses(std::vector<Graph> &graphs) {
    for (const auto &[name, kind] : ops::EnumNames<ops::LossKind>::values) {
        ops::LossFields fields;
        fields.kind = kind;
        fields.reduction = ops::LossReduction::sum;
        fields.number_of_classes = 6;
        const bool positive = takes_logarithm(kind);
        graphs.push_back(network_of_two(concat({"loss ", name}), ops::Loss{fields}, positive));
        graphs.push_back(
            network_of_two(concat({"gradient of loss ", name}), ops::LossGradient{fields}, positive));
    }
}

void append_detector_losses(std::vector<Graph> &graphs) {
    ops::MultiboxFields fields;
    fields.negative_ratio = 0.1f; // fewer than there are
    fields.delta = 0.5f;
    fields.box_weight = 2.0f;
    graphs.push_back(network_of_detector("loss of a detector", ops::MultiboxLoss{fields}));
    graphs.push_back(
        network_of_detector("gradient of the loss of a detector", ops::MultiboxLossGradient{fields}));
}

void append_neurons(std::vector<Graph> &graphs) {
    for (const auto &[name, kind] : ops::EnumNames<ops::NeuronKind>::values) {
        ops::Neuron neuron;
        neuron.kind = kind;
        neuron.a = 0.5f, neuron.b = 0.75f, neuron.c = 2.0f;
        graphs.push_back(
            network_of_two(concat({"gradient of ", name}), ops::NeuronGradient{neuron}, false, false));
        if (ops::NeuronGradient::follows_from_result(neuron))
            graphs.push_back(network_of_two(concat({"gradient of ", name, " by its result"}),
                                            ops::NeuronGradient{neuron, true}));
    }
}

} // namespace

std::vector<Graph> self_check_training() {
    std::vector<Graph> graphs;
    for (const CheckedTraining &checked : checked_training) graphs.push_back(network_of(checked));
    append_losses(graphs);
    append_detector_losses(graphs);
    append_neurons(graphs);
    graphs.push_back(network_of_pooling(
        "gradient of a maximum",
        R"({"kind":"max","kernel_height":3,"kernel_width":3,"stride_y":2,"stride_x":2,"padding":"same"})"));
    graphs.push_back(network_of_pooling(
        "gradient of an average",
        R"({"kind":"average","kernel_height":3,"kernel_width":2,"padding":"same","count_padding":true})"));
    graphs.push_back(network_of_pooling(
        "gradient of a norm", R"({"kind":"l2_norm","kernel_height":2,"kernel_width":2,"dilation_y":2})"));
    graphs.push_back(network_with_variables(
        "convolution",
        R"({"output_channels":4,"kernel_height":3,"kernel_width":2,"padding":"same","groups":2})"));
    graphs.push_back(network_with_variables("fully_connected", R"({"outputs":9})"));
    graphs.push_back(network_with_variables("batch_normalization", "{}"));
    graphs.push_back(network_with_variables("group_normalization", R"({"groups":2})"));
    graphs.push_back(network_with_variables("layer_normalization", "{}"));
    return graphs;
}

} // namespace mpscnn::engine
