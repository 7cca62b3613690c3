#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/json.h"
#include "core/text.h"
#include "engine/trust/self_check.h"
#include "ops/op_list.h"

namespace mpscnn::engine {

namespace {

/// Make a network of one operation on two variables of an image's extents. By default the second one is not
/// negative.
Graph network_of_two(const std::string &name, const ops::Operation &operation, bool first_positive = false,
                     bool second_positive = true) {
    Graph graph("self-check: " + name);
    const auto tensor = [&](bool positive, const char *number) {
        return graph.add_variable(concat({positive ? self_check_positive : "tensor ", number}), {2, 7, 5, 6});
    };
    std::vector<ValueId> tensors{tensor(first_positive, "0"), tensor(second_positive, "1")};
    const auto *gradient = operation.get_if<ops::NeuronGradient>();
    if (gradient && gradient->neuron.kind == ops::NeuronKind::prelu)
        tensors.push_back(graph.add_variable("slopes", {1, 6}));
    graph.mark_output(graph.add_node(name, operation, std::move(tensors)));
    return graph;
}

/// Make a network of a pooling and its gradient. The gradient compares its inputs with the pooling's result,
/// so the maxima must be elements of the input.
Graph network_of_pooling(const char *name, const char *attributes, std::int64_t channels = 6) {
    Graph graph(concat({"self-check: ", name}));
    const ops::Operation pooling = ops::make_operation("pooling", parse_json(attributes));
    const Shape image{2, 7, 5, channels};
    const ValueId x = graph.add_variable("tensor 0", image);
    const ValueId gradient =
        graph.add_variable("tensor 1", ops::output_shape(pooling, std::span<const Shape>(&image, 1)));
    const ValueId pooled = graph.add_node("pooled", pooling, {x});
    graph.mark_output(
        graph.add_node(name, ops::PoolingGradient{pooling.as<ops::Pooling>()}, {gradient, x, pooled}));
    return graph;
}

/// Make a network of a layer whose weights are variables of the graph.
Graph network_with_variables(const std::string &name, const char *operation, const char *attributes,
                             std::int64_t channels = 6) {
    Graph graph(concat({"self-check: ", name, " of variables"}));
    const Shape image{Shape::any, 7, 5, channels}, statistics{1, 2, 1, channels};
    std::vector<ValueId> inputs{graph.add_input("image", image)};
    const bool by_batch = std::string_view(operation) == ops::BatchNormalization::info.name;
    std::vector<std::pair<std::string, ValueId>> weights;
    ops::Operation layer = ops::make_operation(operation, parse_json(attributes));
    const std::vector<Shape> shapes =
        by_batch ? std::vector<Shape>{image, statistics} : std::vector<Shape>{image};
    for (const ops::WeightSpec &spec : ops::weight_specs(layer, shapes))
        weights.emplace_back(spec.role, graph.add_variable(spec.role, variable_shape(spec.shape)));
    if (by_batch) inputs.push_back(graph.add_node("statistics", ops::BatchStatistics{}, inputs));
    const ValueId result = graph.add_node(concat({name, " of variables"}), std::move(layer), inputs,
                                          ops::Neuron{.kind = ops::NeuronKind::relu});
    for (const auto &[role, variable] : weights) graph.use_variable(result, role, variable);
    graph.mark_output(result);
    return graph;
}

/// Make a network of a detector's loss. Some labels have a box, some are of the background, and some are
/// zeros, which do not count.
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
    fields.negative_ratio = 0.1f; // the loss uses fewer background anchors than there are
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
    append_losses(graphs);
    append_detector_losses(graphs);
    append_neurons(graphs);
    graphs.push_back(network_of_pooling(
        "gradient of a maximum",
        R"({"kind":"max","kernel_height":3,"kernel_width":3,"stride_y":2,"stride_x":2,"padding":"same"})"));
    // This kernel reads channels in fours, so the network has 8 of them.
    graphs.push_back(network_of_pooling(
        "gradient of a maximum of 2x2",
        R"({"kind":"max","kernel_height":2,"kernel_width":2,"stride_y":2,"stride_x":2,"padding":"same"})",
        8));
    graphs.push_back(network_of_pooling(
        "gradient of an average",
        R"({"kind":"average","kernel_height":3,"kernel_width":2,"padding":"same","count_padding":true})"));
    graphs.push_back(network_of_pooling(
        "gradient of a norm", R"({"kind":"l2_norm","kernel_height":2,"kernel_width":2,"dilation_y":2})"));
    graphs.push_back(network_with_variables(
        "groups", "convolution",
        R"({"output_channels":4,"kernel_height":3,"kernel_width":2,"padding":"same","groups":2})"));
    graphs.push_back(network_with_variables(
        "depthwise", "convolution",
        R"({"output_channels":8,"kernel_height":3,"kernel_width":3,"padding":"same","groups":8})", 8));
    graphs.push_back(network_with_variables(
        "depthwise 5x5", "convolution",
        R"({"output_channels":8,"kernel_height":5,"kernel_width":5,"padding":"same","groups":8})", 8));
    graphs.push_back(network_with_variables("depthwise 5x5 by 2", "convolution",
                                            R"({"output_channels":8,"kernel_height":5,"kernel_width":5,)"
                                            R"("stride_y":2,"stride_x":2,"padding":"same","groups":8})",
                                            8));
    // The network "convolution" has 6 input channels, which the kernel reads one by one. "wide convolution"
    // has 20, which it reads in fours. Each needs two tiles.
    constexpr const char *window =
        R"({"output_channels":68,"kernel_height":3,"kernel_width":2,"stride_y":2,"padding":"same"})";
    graphs.push_back(network_with_variables("convolution", "convolution", window));
    graphs.push_back(network_with_variables("wide convolution", "convolution", window, 20));
    graphs.push_back(network_with_variables("dense layer", "fully_connected", R"({"outputs":9})"));
    for (const auto &[operation, attributes] :
         {std::pair{"batch_normalization", "{}"}, std::pair{"group_normalization", R"({"groups":2})"},
          std::pair{"layer_normalization", "{}"}})
        graphs.push_back(network_with_variables(operation, operation, attributes));
    return graphs;
}

} // namespace mpscnn::engine
