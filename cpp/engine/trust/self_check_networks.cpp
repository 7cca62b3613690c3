#include "engine/trust/self_check.h"

#include <cmath>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/text.h"
#include "ops/cases.h"

namespace mpscnn::engine {

namespace {

/// Return random values for a weight. If the weight has a minimum, as a variance does, its values are between
/// 0.5 and 1.5.
std::vector<float> weight_values(const ops::WeightSpec &spec, std::uint32_t seed) {
    std::vector<float> values = self_check_noise(spec.shape.elements(), seed);
    if (spec.lowest >= 0)
        for (float &value : values) value = std::fabs(value) + 0.5f;
    return values;
}

void fill_weights(Graph &graph) {
    for (std::size_t i = 0; i < graph.nodes().size(); ++i)
        for (const ops::WeightSpec &spec : graph.weight_specs(i))
            graph.set_weight(graph.nodes()[i].name, spec.role,
                             WeightTensor::from_floats(
                                 spec.shape, weight_values(spec, static_cast<std::uint32_t>(7 + i))));
}

/// Make a network of one layer on images, with weights.
Graph layer_of(const ops::Case &one, const char *title = "self-check: ") {
    Graph graph(concat({title, one.name}));
    std::vector<ValueId> images;
    for (const Shape &image : one.inputs) {
        std::vector<std::int64_t> extents{Shape::any};
        extents.insert(extents.end(), image.begin(), image.end());
        images.push_back(graph.add_input(concat({"image ", images.size()}),
                                         Shape(std::span<const std::int64_t>(extents))));
    }
    std::optional<ops::Neuron> activation;
    if (one.activation) activation = ops::make_neuron(*one.activation);
    graph.mark_output(
        graph.add_node(one.name, ops::make_operation(one.operation, one.attributes), images, activation));
    fill_weights(graph);
    return graph;
}

/// Make a network of one convolution for this library's own Metal kernels. A convolution without groups and
/// activation is followed by an addition of another image, because one kernel computes both.
Graph own_layer_of(const ops::Case &one) {
    Graph graph = layer_of(one, self_check_own);
    const ValueId result = graph.outputs()[0];
    const auto &convolution = graph.producer(result).operation.as<ops::Convolution>();
    if (convolution.groups > 1 || graph.producer(result).activation) return graph;
    Graph sum(graph.name());
    const ValueId image = sum.add_input(graph.inputs()[0].name, graph.inputs()[0].shape);
    const ValueId addend = sum.add_input("addend", graph.shape(result));
    const ValueId layer = sum.add_node(one.name, convolution, {image}, std::nullopt);
    sum.mark_output(
        sum.add_node(concat({one.name, " in a sum"}), ops::Addition{}, {layer, addend}, std::nullopt));
    fill_weights(sum);
    return sum;
}

/// Make a network of convolutions for this library's own Metal kernels. In float16, the layer before them
/// gives them halves. Without this layer they would read the network's input, which holds floats, and the
/// kernels for halves would not be checked.
Graph own_network(const char *name, std::initializer_list<ops::Convolution> layers) {
    Graph graph(concat({self_check_own, name}));
    ValueId value = graph.add_input("image", Shape{Shape::any, 11, 12, 20});
    value = graph.add_node("activation", ops::Neuron{.kind = ops::NeuronKind::absolute}, {value});
    const ops::Neuron limited{.kind = ops::NeuronKind::relun, .a = 0.0f, .b = 6.0f};
    for (const ops::Convolution &layer : layers) {
        const bool is_last = &layer == layers.end() - 1;
        value = graph.add_node(is_last ? name : "depthwise", layer, {value},
                               is_last ? std::nullopt : std::optional(limited));
    }
    graph.mark_output(value);
    fill_weights(graph);
    return graph;
}

ops::Convolution convolution_of(std::int64_t outputs, std::int64_t size, std::int64_t stride,
                                std::int64_t groups) {
    ops::Convolution convolution;
    convolution.output_channels = outputs;
    convolution.groups = groups;
    convolution.window.kernel_height = convolution.window.kernel_width = size;
    convolution.window.stride_y = convolution.window.stride_x = stride;
    convolution.window.padding = ops::PaddingPolicy::same;
    return convolution;
}

void append_own_networks(std::vector<Graph> &graphs) {
    const auto depthwise = [](std::int64_t size, std::int64_t stride) {
        return convolution_of(20, size, stride, 20);
    };
    const ops::Convolution pointwise = convolution_of(68, 1, 1, 1);
    graphs.push_back(own_network("pointwise convolution of a layer", {pointwise}));
    graphs.push_back(own_network("convolution of a layer", {convolution_of(68, 3, 1, 1)}));
    graphs.push_back(own_network("depthwise convolution of a layer", {depthwise(3, 1)}));
    graphs.push_back(own_network("depthwise convolution of a layer by 2", {depthwise(3, 2)}));
    graphs.push_back(own_network("depthwise convolution, 5x5", {depthwise(5, 1)}));
    graphs.push_back(own_network("depthwise convolution, 5x5 by 2", {depthwise(5, 2)}));
    graphs.push_back(own_network("separable convolution", {depthwise(3, 1), pointwise}));
    graphs.push_back(own_network("separable convolution by 2", {depthwise(3, 2), pointwise}));
}

/// Make a network of one operation whose inputs are variables of the graph.
Graph training_of(const ops::Case &one) {
    Graph graph(concat({"self-check: ", one.name}));
    std::vector<ValueId> tensors;
    for (const Shape &shape : one.inputs) {
        const std::string number = std::to_string(tensors.size());
        const bool positive = one.positive_inputs.find(number) != std::string::npos;
        tensors.push_back(
            graph.add_variable(concat({positive ? self_check_positive : "tensor ", number}), shape));
    }
    graph.mark_output(graph.add_node(one.name, ops::make_operation(one.operation, one.attributes), tensors));
    return graph;
}

} // namespace

std::vector<float> self_check_noise(std::int64_t count, std::uint32_t seed) {
    std::vector<float> values(static_cast<std::size_t>(count));
    for (float &value : values) {
        seed = seed * 1664525u + 1013904223u;
        value = static_cast<float>(seed >> 8) / 8388608.0f - 1.0f;
    }
    return values;
}

std::vector<std::int64_t> self_check_images(const Graph &network) {
    for (ValueId value = 0; value < network.values(); ++value)
        if (network.shape(value).back() <= 4) return {2, 1};
    return {2};
}

std::vector<Graph> self_check_networks() {
    std::vector<Graph> graphs;
    for (const ops::Case &one : ops::cases())
        if (one.tags & ops::Case::self_check)
            graphs.push_back(one.tags & ops::Case::training ? training_of(one) : layer_of(one));
    for (const ops::Case &one : ops::cases())
        if ((one.tags & ops::Case::self_check) && !(one.tags & ops::Case::training) &&
            one.operation == ops::Convolution::info.name)
            graphs.push_back(own_layer_of(one));
    append_own_networks(graphs);
    for (Graph &graph : self_check_training()) graphs.push_back(std::move(graph));
    return graphs;
}

} // namespace mpscnn::engine
