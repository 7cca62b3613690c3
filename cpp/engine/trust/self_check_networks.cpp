#include "engine/trust/self_check.h"

#include <cmath>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/json.h"
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

/// The prefix of the names of layers at the sizes of well-known networks.
constexpr const char *real_size = "real size: ";

/// A layer of a well-known network. Some drivers and kernels are wrong only from a size on, although they
/// compute small images right.
struct RealLayer {
    const char *name, *operation, *attributes;
    Shape image;
    bool is_own =
        false; ///< it is checked for this library's own Metal kernels, too; one layer for each kernel
};

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
    graphs.push_back(own_network("convolution of a layer", {convolution_of(68, 1, 2, 1)}));
    // The kernels for layers with few pixels have sums of at least 64 products.
    graphs.push_back(own_network("convolution of a layer, long sums", {convolution_of(67, 3, 1, 1)}));
    graphs.push_back(own_network("pointwise convolution of a layer, long sums",
                                 {convolution_of(72, 1, 1, 1), convolution_of(40, 1, 1, 1)}));
    graphs.push_back(own_network("depthwise convolution of a layer", {depthwise(3, 1)}));
    graphs.push_back(own_network("depthwise convolution of a layer by 2", {depthwise(3, 2)}));
    graphs.push_back(own_network("depthwise convolution, 5x5", {depthwise(5, 1)}));
    graphs.push_back(own_network("depthwise convolution, 5x5 by 2", {depthwise(5, 2)}));
    graphs.push_back(own_network("separable convolution", {depthwise(3, 1), pointwise}));
    graphs.push_back(own_network("separable convolution by 2", {depthwise(3, 2), pointwise}));
}

void append_real_layers(std::vector<Graph> &graphs) {
    const RealLayer layers[] = {
        // MobileNetV2, its last convolution
        {"pointwise convolution, 7x7x320 to 1280",
         "convolution",
         R"({"output_channels":1280,"kernel_height":1,"kernel_width":1})",
         {7, 7, 320},
         true},
        // ResNet
        {"convolution of 3x3, 14x14x256",
         "convolution",
         R"({"output_channels":256,"kernel_height":3,"kernel_width":3,"padding":"same"})",
         {14, 14, 256},
         true},
        // MobileNetV2, its first convolution
        {"convolution of 3x3 by 2, 224x224x3",
         "convolution",
         R"({"output_channels":32,"kernel_height":3,"kernel_width":3,"stride_y":2,"stride_x":2,)"
         R"("padding":"same"})",
         {224, 224, 3}},
        // ResNet, its first convolution
        {"convolution of 7x7 by 2, 224x224x3",
         "convolution",
         R"({"output_channels":64,"kernel_height":7,"kernel_width":7,"stride_y":2,"stride_x":2,)"
         R"("padding":"same"})",
         {224, 224, 3}},
        // MobileNetV2, its dense layer
        {"dense layer, 1280 to 1000", "fully_connected", R"({"outputs":1000})", {1, 1, 1280}},
        // ResNet
        {"maximum of 3x3 by 2, 112x112x64",
         "pooling",
         R"({"kind":"max","kernel_height":3,"kernel_width":3,"stride_y":2,"stride_x":2,"padding":"same"})",
         {112, 112, 64}},
        // MobileNetV3
        {"depthwise convolution of 5x5 by 2, 56x56x72",
         "convolution",
         R"({"output_channels":72,"kernel_height":5,"kernel_width":5,"stride_y":2,"stride_x":2,)"
         R"("padding":"same","groups":72})",
         {56, 56, 72},
         true},
        // DeepLab
        {"bilinear resize, 28x28x21 to 224x224", "resize", R"({"height":224,"width":224})", {28, 28, 21}},
    };
    for (const auto &[name, operation, attributes, image, is_own] : layers) {
        const ops::Case one{
            ops::Case::self_check, concat({real_size, name}), operation, parse_json(attributes), {}, {image}};
        graphs.push_back(layer_of(one));
        if (is_own) graphs.push_back(own_layer_of(one));
    }
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

bool is_real(const Graph &network) { return network.name().find(real_size) != std::string::npos; }

std::vector<std::int64_t> self_check_images(const Graph &network) {
    constexpr std::int64_t few_elements = 4096;
    std::int64_t elements = 0;
    for (const Input &input : network.inputs())
        if (!input.is_variable) elements += input.shape.with_batch(1).elements();
    if (elements == 0) return {2}; // the shapes of all inputs are fixed
    if (is_real(network)) return {1};
    return elements <= few_elements ? std::vector<std::int64_t>{2, 1, 9} : std::vector<std::int64_t>{2, 1};
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
    append_real_layers(graphs);
    for (Graph &graph : self_check_training()) graphs.push_back(std::move(graph));
    return graphs;
}

} // namespace mpscnn::engine
