#include "metal/run/own_layers.h"

#include <algorithm>
#include <utility>

#include "core/text.h"
#include "metal/arrays/depthwise.h"
#include "metal/arrays/separable.h"
#include "metal/arrays/small_product.h"
#include "metal/layers/weights.h"
#include "metal/run/lowering.h"

namespace mpscnn::metal {

using engine::Graph;
using engine::Node;
using engine::Precision;
using engine::ValueId;

namespace {

/// Return the convolution of a node if one of the library's own kernels can compute it, otherwise null. A
/// convolution with a PReLU is excluded, because the kernels cannot read slopes.
const ops::Convolution *own_convolution(const Node &node) {
    const auto *convolution = node.operation.get_if<ops::Convolution>();
    const bool has_slopes = node.activation && node.activation->kind == NeuronKind::prelu;
    return convolution && node.variables.empty() && !has_slopes ? convolution : nullptr;
}

/// Return the number of readers of each array: nodes, and outputs of the network.
std::vector<int> count_readers(const Graph &graph) {
    std::vector<int> readers(static_cast<std::size_t>(graph.values()), 0);
    for (const Node &node : graph.nodes())
        for (ValueId value : node.inputs) ++readers[static_cast<std::size_t>(array_of(graph, value))];
    for (ValueId value : graph.outputs()) ++readers[static_cast<std::size_t>(array_of(graph, value))];
    return readers;
}

/// Return the extents of the product of a convolution of one image. Return nothing if it is no product, or if
/// the image's size is free.
std::optional<ProductExtents> product_extents(const Graph &graph, std::size_t number,
                                              const ops::Convolution &convolution) {
    const Shape &input = graph.shape(graph.nodes()[number].inputs[0]),
                &output = graph.shape(graph.result_of(number));
    if (convolution.groups != 1 || output[1] == Shape::any || output[2] == Shape::any) return std::nullopt;
    const ops::Window &window = convolution.window;
    return ProductExtents{output[1] * output[2], output.back(),
                          window.kernel_height * window.kernel_width * input.back()};
}

std::vector<ConstantArray> constants_of(const Graph &graph, const Node &node,
                                        const ops::Convolution &convolution, Precision precision,
                                        const std::optional<ProductExtents> &packed, const Device &device) {
    std::vector<ConstantArray> arrays;
    for (const auto &[role, tensor] : node.weights) {
        const bool is_weight = role == "weight";
        const Precision held = is_weight ? precision : Precision::float32;
        std::vector<float> values = tensor.values();
        if (is_weight) {
            require_weights_fit(values, held, node.name);
            values = weights_for_arrays(convolution, graph.shape(node.inputs[0]), std::move(values));
        }
        const auto add = [&](const std::string &name, const Shape &shape, const std::vector<float> &numbers) {
            DeviceWeights stored(numbers, held);
            arrays.push_back({name,
                              {shape, held == Precision::float16},
                              device.make_constants(stored.data(), stored.bytes())});
        };
        add(role, tensor.shape(), values);
        if (!is_weight || !packed) continue;
        const std::vector<float> small = packed_weights(values, packed->columns, packed->depths);
        add(packed_role, Shape{static_cast<std::int64_t>(small.size())}, small);
    }
    return arrays;
}

/// True if the device may use one of the library's own kernels for the layer and for its activation.
bool may_be_own(const Graph &graph, const Node &node, const ops::Convolution &convolution,
                const std::shared_ptr<const engine::Implementations> &implementations) {
    const Choice choice(implementations, node, Choice::Scope::own);
    const NeuronKind activation = node.activation ? node.activation->kind : NeuronKind::none;
    if (is_array_depthwise(convolution, graph.shape(node.inputs[0])))
        return choice.may_take("array_depthwise", activation);
    return choice.may_take(convolution.groups == 1 ? "array_product" : "array_convolution", activation);
}

/// Return which input of a plain sum one of the library's own kernels can compute together with the sum. This
/// input is the result of a convolution without an activation, and only the sum reads it. Return nothing if
/// there is none.
std::optional<std::size_t> merged_input(const Graph &graph, const Node &sum,
                                        const std::vector<std::optional<OwnLayer>> &layers,
                                        const std::vector<int> &readers) {
    const auto *add = sum.operation.get_if<ops::Addition>();
    if (!add || !add->is_plain() || sum.inputs[0] == sum.inputs[1]) return std::nullopt;
    if (sum.activation && sum.activation->kind == NeuronKind::prelu) return std::nullopt;
    for (std::size_t i : {std::size_t{1}, std::size_t{0}}) {
        const ValueId value = sum.inputs[i];
        if (graph.is_input(value) || readers[static_cast<std::size_t>(value)] != 1) continue;
        const std::size_t number = graph.producer_number(value);
        const Node &node = graph.nodes()[number];
        const auto &layer = layers[number];
        // The kernels of convolutions with groups cannot add the other operand of the sum. No kernel
        // broadcasts this operand, so both shapes must be equal.
        if (layer && layer->addend < 0 && layer->convolution == number && !node.activation &&
            node.operation.as<ops::Convolution>().groups == 1 && node.keep_float32 == sum.keep_float32 &&
            graph.shape(sum.inputs[1 - i]) == graph.shape(value))
            return i;
    }
    return std::nullopt;
}

/// Return the node of the depthwise convolution that a kernel can compute together with a pointwise one. Only
/// the pointwise one reads its result. Return nothing if there is none.
std::optional<std::size_t>
merged_depthwise(const Graph &graph, const Node &node, const ops::Convolution &pointwise,
                 const std::vector<std::optional<OwnLayer>> &layers, const std::vector<int> &readers,
                 bool weights_are_halves, const std::vector<bool> &halves,
                 const std::shared_ptr<const engine::Implementations> &implementations) {
    const ValueId between = node.inputs[0];
    if (graph.is_input(between) || readers[static_cast<std::size_t>(between)] != 1) return std::nullopt;
    const std::size_t number = graph.producer_number(between);
    const Node &first = graph.nodes()[number];
    const auto *depthwise = first.operation.get_if<ops::Convolution>();
    if (!depthwise || !layers[number] || first.keep_float32 != node.keep_float32) return std::nullopt;
    if (halves[static_cast<std::size_t>(first.inputs[0])] != weights_are_halves) return std::nullopt;
    const char *shader =
        separable_shader(*depthwise, graph.shape(first.inputs[0]), first.activation.value_or(ops::Neuron{}),
                         pointwise, graph.shape(between));
    const Choice choice(implementations, node, Choice::Scope::own);
    const NeuronKind activation = node.activation ? node.activation->kind : NeuronKind::none;
    return shader && choice.may_take(shader, activation) ? std::optional(number) : std::nullopt;
}

/// Include a depthwise convolution in the layer of the pointwise one after it.
void merge_depthwise(OwnLayer &layer, std::optional<OwnLayer> &first, std::size_t number) {
    layer.depthwise = number;
    for (ConstantArray &array : first->weights) {
        array.role = concat({"depthwise ", array.role});
        layer.weights.push_back(std::move(array));
    }
    first.reset();
}

} // namespace

std::vector<std::optional<OwnLayer>>
own_layers(const Graph &graph, Precision precision, const std::vector<bool> &halves, const Device &device,
           const std::shared_ptr<const engine::Implementations> &implementations, std::vector<bool> &merged) {
    std::vector<std::optional<OwnLayer>> layers(graph.nodes().size());
    merged.assign(layers.size(), false);
    const std::vector<int> readers = count_readers(graph);
    for (std::size_t i = 0; i < layers.size(); ++i) {
        const Node &node = graph.nodes()[i];
        const ops::Convolution *convolution = own_convolution(node);
        if (convolution && may_be_own(graph, node, *convolution, implementations)) {
            layers[i].emplace();
            layers[i]->convolution = i;
            const Precision held = node.keep_float32 ? Precision::float32 : precision;
            const auto depthwise = merged_depthwise(graph, node, *convolution, layers, readers,
                                                    held == Precision::float16, halves, implementations);
            // A layer that is small for one image has weights in two orders, because it is not small for
            // many images.
            auto packed = depthwise ? std::nullopt : product_extents(graph, i, *convolution);
            if (packed && !packed->is_small()) packed.reset();
            layers[i]->weights = constants_of(graph, node, *convolution, held, packed, device);
            if (depthwise) {
                merge_depthwise(*layers[i], layers[*depthwise], *depthwise);
                merged[*depthwise] = true;
            }
        } else if (const auto input = merged_input(graph, node, layers, readers)) {
            const std::size_t number = graph.producer_number(node.inputs[*input]);
            layers[i] = std::exchange(layers[number], std::nullopt);
            layers[i]->addend = node.inputs[1 - *input];
            merged[number] = true;
        }
    }
    return layers;
}

} // namespace mpscnn::metal
