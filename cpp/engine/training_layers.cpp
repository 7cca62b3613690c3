#include "engine/training_layers.h"

#include <utility>
#include <variant>

#include "core/text.h"

namespace mpscnn::engine {

namespace {

constexpr const char *slope_role = "slope";

bool is_prelu(const ops::Operation &operation) {
    const auto *neuron = std::get_if<ops::Neuron>(&operation);
    return neuron && neuron->kind == ops::NeuronKind::prelu;
}

ValueId add_reading(Graph &graph, const std::string &name, const ops::Operation &operation,
                    std::vector<ValueId> inputs, const std::map<std::string, ValueId> &weights) {
    const ValueId value = graph.add_node(name, operation, std::move(inputs));
    for (const auto &[role, variable] : weights) graph.use_variable(value, role, variable);
    return value;
}

/// relu(x) + slope * (x - relu(x)), with the product as a depthwise convolution of single pixels. At 0 the
/// derivative is the slope, as PyTorch's.
ValueId add_prelu(Graph &graph, const std::string &name, ValueId x, ValueId slope) {
    const Shape given = graph.shape(x);
    std::vector<std::int64_t> extents(given.begin() + 1, given.end());
    const bool is_image = given.rank() == 4;
    if (given.rank() > 4 || (!is_image && !given.with_batch(1).fixed()))
        fail(ErrorKind::unsupported,
             {"training: layer ", quoted(name),
              ": slopes of prelu are trained for images, and for tensors of less axes "
              "and fixed extents, got ",
              given.text()});
    if (!is_image) {
        std::vector<std::int64_t> image(static_cast<std::size_t>(4 - given.rank()), 1);
        image.insert(image.end(), extents.begin(), extents.end());
        x = graph.add_node(name + ".image", ops::Reshape{.shape = image}, {x});
    }
    const ValueId positive =
        graph.add_node(name + ".positive", ops::Neuron{.kind = ops::NeuronKind::relu}, {x});
    const ValueId negative = graph.add_node(name + ".negative", ops::Subtraction{}, {x, positive});
    ops::Convolution product;
    product.output_channels = product.groups = given.back();
    const ValueId scaled = add_reading(graph, name + ".scaled", product, {negative}, {{"weight", slope}});
    const ValueId result =
        graph.add_node(is_image ? name : name + ".sum", ops::Addition{}, {positive, scaled});
    return is_image ? result : graph.add_node(name, ops::Reshape{.shape = extents}, {result});
}

/// A convolution, whose channels become pixels.
ValueId add_subpixel(Graph &graph, const std::string &name, const ops::SubpixelConvolution &subpixel,
                     std::vector<ValueId> inputs, const std::map<std::string, ValueId> &weights) {
    ops::Convolution convolution;
    convolution.output_channels = subpixel.convolution_channels();
    convolution.window = subpixel.window;
    convolution.groups = subpixel.groups;
    const ValueId channels =
        add_reading(graph, name + ".convolution", convolution, std::move(inputs), weights);
    const bool cut = subpixel.output_height > 0 || subpixel.output_width > 0;
    const ValueId pixels = graph.add_node(cut ? name + ".pixels" : name,
                                          ops::DepthToSpace{subpixel.scale, subpixel.order}, {channels});
    if (!cut) return pixels;
    return graph.add_node(name, ops::Slice{.height = subpixel.output_height, .width = subpixel.output_width},
                          {pixels});
}

} // namespace

bool trains_weights(const Node &layer) {
    const ops::Operation &operation = layer.operation;
    const bool own = std::holds_alternative<ops::Convolution>(operation) ||
                     std::holds_alternative<ops::FullyConnected>(operation) ||
                     std::holds_alternative<ops::SubpixelConvolution>(operation) ||
                     std::holds_alternative<ops::BatchNormalization>(operation) ||
                     std::holds_alternative<ops::GroupNormalization>(operation) ||
                     std::holds_alternative<ops::LayerNormalization>(operation);
    const bool slopes_alone = layer.weights.size() == 1 && layer.weights.count(slope_role) == 1;
    return own || slopes_alone;
}

Shape trained_shape(const std::string &role, const Shape &weight) {
    return role == slope_role ? Shape{weight.elements(), 1, 1, 1} : variable_shape(weight);
}

ValueId add_trained_layer(Graph &graph, const std::string &name, const ops::Operation &operation,
                          std::vector<ValueId> inputs, const std::map<std::string, ValueId> &weights) {
    if (!weights.empty() && is_prelu(operation))
        return add_prelu(graph, name, inputs[0], weights.at(slope_role));
    if (const auto *subpixel = std::get_if<ops::SubpixelConvolution>(&operation);
        subpixel && !weights.empty())
        return add_subpixel(graph, name, *subpixel, std::move(inputs), weights);
    std::map<std::string, ValueId> own = weights;
    if (!is_prelu(operation)) own.erase(slope_role); // of the activation behind it
    return add_reading(graph, name, operation, std::move(inputs), own);
}

} // namespace mpscnn::engine
