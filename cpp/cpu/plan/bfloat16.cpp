#include "cpu/plan/bfloat16.h"

#include <algorithm>
#include <utility>

namespace mpscnn::cpu {

using engine::Graph;
using engine::Node;
using engine::Precision;
using engine::ValueId;

namespace {

template <class... Ops> bool is_any_of(const ops::Operation &operation) {
    return (operation.is<Ops>() || ...);
}

/// True if the node only moves elements: each element of its result is an operand's element or padding.
bool moves_elements(const Node &node) {
    return is_any_of<ops::ChannelShuffle, ops::Concatenation, ops::DepthToSpace, ops::Gather, ops::Padding,
                     ops::Reshape, ops::Slice, ops::Tile, ops::Transpose>(node.operation);
}

/// Search backwards, and return for each value whether the search finds it. The search finds a value if a
/// node reads it for which reads(node, input) is true. It also finds the inputs of a node if it has found the
/// node's result and continues(node) is true.
template <class Reads, class Continues>
std::vector<bool> precedes(const Graph &graph, Reads reads, Continues continues) {
    std::vector<bool> found(static_cast<std::size_t>(graph.values()), false);
    for (std::size_t i = graph.nodes().size(); i-- > 0;) {
        const Node &node = graph.nodes()[i];
        const bool all = found[static_cast<std::size_t>(graph.result_of(i))] && continues(node);
        for (std::size_t input = 0; input < node.inputs.size(); ++input)
            if (all || reads(node, input)) found[static_cast<std::size_t>(node.inputs[input])] = true;
    }
    return found;
}

/// Return for each value whether the positions of a TakeAlongAxis are computed from it. Positions are whole
/// numbers, and bfloat16 cannot represent all whole numbers beyond 256. The search ends at convolutions and
/// dense layers, whose operands are always rounded.
std::vector<bool> precedes_positions(const Graph &graph) {
    return precedes(
        graph,
        [](const Node &node, std::size_t input) {
            return input == 1 && is_any_of<ops::TakeAlongAxis>(node.operation);
        },
        [](const Node &node) { return !is_product(node); });
}

/// Return for each value whether a convolution or dense layer reads it, or reads a value that is computed
/// from it. The answer is false for values from which the positions of a TakeAlongAxis are computed, because
/// positions must stay exact.
std::vector<bool> precedes_product(const Graph &graph) {
    std::vector<bool> found = precedes(
        graph, [](const Node &node, std::size_t) { return is_product(node); },
        [](const Node &) { return true; });
    const std::vector<bool> positions = precedes_positions(graph);
    for (std::size_t value = 0; value < found.size(); ++value)
        if (positions[value]) found[value] = false;
    return found;
}

/// Inserts conversions between float32 and bfloat16 before and after steps.
class Converter {
public:
    Converter(StepBuilder &builder, bool rounds_source) : builder_(builder), rounds_source_(rounds_source) {}

    void convert(Step step) {
        if (is_copy(step)) {
            step.task = ConversionTask{};
            return keep(std::move(step));
        }
        const PackedConvolution *packed = first_weights(step);
        if (packed && packed->element == Element::bfloat16) {
            if (!fits(step.source, *packed)) step.source = converted(step, step.source, Element::bfloat16);
            return keep(std::move(step));
        }
        if (computes_bfloat16(step)) return keep(std::move(step));
        if (rounds_source_ && element(step.source) == Element::float32)
            step.source = converted(step, step.source, Element::bfloat16);
        const auto as_floats = [&](const Region &region) {
            return element(region) == Element::float32 ? region : converted(step, region, Element::float32);
        };
        step.source = as_floats(step.source);
        const auto *weights = step.task.get_if<WeightGradientTask>();
        const bool reads_gradient = weights && weights->operands == Element::bfloat16;
        for (std::size_t i = reads_gradient ? 1 : 0; i < step.others.size(); ++i)
            step.others[i] = as_floats(step.others[i]);
        if (element(step.destination) == Element::float32 || stores_bfloat16(step))
            return keep(std::move(step));
        const Region destination = step.destination;
        step.destination = builder_.add_workspace(destination.extents, Element::float32);
        const Region result = step.destination;
        const std::vector<std::string> layers = step.layers;
        keep(std::move(step));
        add_conversion(layers, result, destination);
    }

private:
    Element element(const Region &region) const { return storage(region).element; }
    const Storage &storage(const Region &region) const {
        return builder_.placement().storages[static_cast<std::size_t>(region.storage)];
    }

    /// Return the weights of a convolution or of a chain's first convolution; null for other steps.
    static const PackedConvolution *first_weights(const Step &step) {
        if (const auto *convolution = step.task.get_if<ConvolutionTask>()) return convolution->packed;
        return step.stages.empty() ? nullptr : step.stages.front().packed;
    }

    /// True for a step that only copies a tensor and reads or writes bfloat16.
    bool is_copy(const Step &step) const {
        const auto *copy = step.task.get_if<PaddingTask>();
        return copy && copy->top == 0 && copy->left == 0 && copy->front == 0 &&
               step.source.extents == step.destination.extents &&
               (element(step.source) == Element::bfloat16 || element(step.destination) == Element::bfloat16);
    }

    /// True if all tensors of the step are bfloat16 and a kernel of Bfloat16Kernels reads and writes them.
    bool computes_bfloat16(const Step &step) const {
        const auto is_bfloat16 = [&](const Region &region) { return element(region) == Element::bfloat16; };
        if (!is_bfloat16(step.source) || !is_bfloat16(step.destination) ||
            !std::all_of(step.others.begin(), step.others.end(), is_bfloat16))
            return false;
        if (const auto *pooling = step.task.get_if<PoolingTask>())
            return pooling->kind != PoolingKind::l2_norm;
        const auto *task = step.task.get_if<ArithmeticTask>();
        return task && (task->kind == ArithmeticKind::multiply || task->kind == ArithmeticKind::add) &&
               !task->scaled && task->source_steps.channels == 1 && task->second_steps.channels == 1 &&
               step.others.size() == 1 && is_clamp(task->epilogue.activation);
    }

    static bool is_clamp(const Activation &activation) {
        return activation.kind == Activation::Kind::none || activation.kind == Activation::Kind::clamp;
    }

    /// True if the step is a normalization, or the gradient of one, whose kernel can store results in
    /// bfloat16.
    bool stores_bfloat16(const Step &step) const {
        const auto *task = step.task.get_if<NormalizationTask>();
        if (!task) return step.task.is<NormalizationGradientTask>();
        const bool has_factor = step.others[0].extents.height > statistics_variance + 1;
        return is_clamp(task->epilogue.activation) && !has_factor;
    }

    /// True if a bfloat16 kernel can read the tensor without a conversion.
    bool fits(const Region &source, const PackedConvolution &packed) const {
        if (element(source) != Element::bfloat16) return false;
        if (packed.is_depthwise()) return true;
        const View view = source.bind({nullptr, storage(source).strides}, storage(source));
        return view.channels % 2 == 0 && view.pixel_stride % 2 == 0 && view.row_stride % 2 == 0 &&
               view.image_stride % 2 == 0;
    }

    /// Add a copy of `source` in another element type for a step to read. bfloat16 copies have an even number
    /// of elements per pixel.
    Region converted(const Step &step, const Region &source, Element element) {
        Extents extents = source.extents;
        if (element == Element::bfloat16) extents.channels += extents.channels % 2;
        const Region result = builder_.add_workspace(extents, element);
        add_conversion(step.layers, source, result);
        return result;
    }

    void add_conversion(const std::vector<std::string> &layers, const Region &source,
                        const Region &destination) {
        Step step;
        step.layers = layers;
        step.task = ConversionTask{};
        step.source = source;
        step.destination = destination;
        keep(std::move(step));
    }

    void keep(Step step) { builder_.steps.push_back(std::move(step)); }

    StepBuilder &builder_;
    bool rounds_source_;
};

} // namespace

bool is_product(const Node &node) {
    return is_any_of<ops::Convolution, ops::FullyConnected, ops::SubpixelConvolution,
                     ops::TransposedConvolution>(node.operation);
}

bool keeps_floats(const Graph &graph) {
    const auto has_variables = [](const Node &node) { return !node.variables.empty(); };
    const std::vector<Node> &nodes = graph.nodes();
    return std::any_of(nodes.begin(), nodes.end(), has_variables) ||
           std::none_of(nodes.begin(), nodes.end(), is_product);
}

Element product_element(Precision precision, const Shape &weights, std::int64_t groups) {
    const bool pairs = groups == 1 || (weights[3] % 2 == 0 && weights[0] / groups % 2 == 0);
    return precision == Precision::bfloat16 && pairs ? Element::bfloat16 : Element::float32;
}

namespace {

/// How the steps of a node use one of the node's inputs.
enum class Use { none, factor, other };

/// Return how a product whose weights are a tensor uses an input.
Use use_of_product(const Graph &graph, const Node &node, std::size_t input) {
    const auto weights_of = [&](const Shape &weight) {
        return is_any_of<ops::FullyConnected>(node.operation)
                   ? Shape{weight[0], 1, 1, weight.elements() / weight[0]}
                   : weight;
    };
    const auto factor = [&](const Shape &weights, std::int64_t groups) {
        return product_element(Precision::bfloat16, weights, groups) == Element::bfloat16 ? Use::factor
                                                                                          : Use::other;
    };
    if (const auto *gradient = node.operation.get_if<ops::ConvolutionDataGradient>()) {
        if (input == 2) return Use::none; // only its shape matters
        return input == 0 ? factor(graph.shape(node.inputs[1]), gradient->convolution.groups) : Use::other;
    }
    if (const auto *gradient = node.operation.get_if<ops::ConvolutionWeightGradient>()) {
        const auto index = static_cast<std::size_t>(&node - graph.nodes().data());
        const Shape &weights = graph.shape(graph.result_of(index));
        return input == 1 ? factor(weights, gradient->convolution.groups) : Use::other;
    }
    const auto weight = node.variables.find("weight");
    if (!is_any_of<ops::Convolution, ops::FullyConnected>(node.operation) || weight == node.variables.end())
        return Use::other;
    const auto *convolution = node.operation.get_if<ops::Convolution>();
    return factor(weights_of(graph.shape(weight->second)), convolution ? convolution->groups : 1);
}

Use use_of(const Graph &graph, const NodeFusion &fusion, const Node &node, std::size_t input) {
    // A weight gradient that recomputes a normalization does not read the normalization's result. The
    // gradient of an activation, if another step computes it as well, does not read the activation's result.
    if (fusion.normalization && input == 0) return Use::none;
    if (fusion.absorbed && is_any_of<ops::NeuronGradient>(node.operation) && input == 1) return Use::none;
    return fusion.absorbed || fusion.border ? Use::other : use_of_product(graph, node, input);
}

/// True if a step computes the node's result (so it is not a view), and if the result has an even number of
/// channels, so that products can read it in pairs.
bool may_be_factor(const Graph &graph, std::size_t index) {
    const Node &node = graph.nodes()[index];
    return graph.shape(graph.result_of(index)).back() % 2 == 0 &&
           is_any_of<ops::BatchNormalization, ops::BatchNormalizationGradient, ops::Convolution,
                     ops::ConvolutionDataGradient, ops::NeuronGradient>(node.operation);
}

} // namespace

std::vector<Element> elements_of_factors(const Graph &graph, std::span<const NodeFusion> fusions) {
    std::vector<Element> elements(static_cast<std::size_t>(graph.values()), Element::float32);
    for (std::size_t i = 0; i < graph.nodes().size(); ++i)
        if (!fusions[i].absorbed && may_be_factor(graph, i))
            elements[static_cast<std::size_t>(graph.result_of(i))] = Element::bfloat16;
    const auto keep = [&](ValueId value) { elements[static_cast<std::size_t>(value)] = Element::float32; };
    for (std::size_t i = 0; i < graph.nodes().size(); ++i) {
        const Node &node = graph.nodes()[i];
        for (std::size_t input = 0; input < node.inputs.size(); ++input)
            if (use_of(graph, fusions[i], node, input) == Use::other) keep(node.inputs[input]);
        for (const auto &variable : node.variables) keep(variable.second);
        if (!fusions[i].normalization) continue;
        const Node &forward = graph.nodes()[*fusions[i].normalization];
        for (const ValueId value : forward.inputs) keep(value);
    }
    for (const ValueId value : graph.outputs()) keep(value);
    return elements;
}

std::vector<Element> elements_of_values(const Graph &graph, Precision precision) {
    std::vector<Element> elements(static_cast<std::size_t>(graph.values()), Element::float32);
    if (precision == Precision::int8)
        for (std::size_t i = 0; i < graph.nodes().size(); ++i) {
            const bool view = is_any_of<ops::Reshape>(graph.nodes()[i].operation);
            const auto operand = static_cast<std::size_t>(graph.nodes()[i].inputs[0]);
            elements[static_cast<std::size_t>(graph.result_of(i))] = view ? elements[operand]
                                                                     : graph.nodes()[i].keep_float32
                                                                         ? Element::float32
                                                                         : Element::uint8;
        }
    if (precision != Precision::bfloat16 || keeps_floats(graph)) return elements;
    const std::vector<bool> precedes = precedes_product(graph);
    for (std::size_t i = 0; i < graph.nodes().size(); ++i) {
        const Node &node = graph.nodes()[i];
        const auto result = static_cast<std::size_t>(graph.result_of(i));
        const auto is_bfloat16 = [&](ValueId value) {
            return elements[static_cast<std::size_t>(value)] == Element::bfloat16;
        };
        const bool moved =
            moves_elements(node) && std::all_of(node.inputs.begin(), node.inputs.end(), is_bfloat16);
        // A view shares the memory of its operand, so it has the operand's element type.
        const bool view = is_any_of<ops::Reshape, ops::Slice>(node.operation);
        if (moved ? view || precedes[result] : precedes[result] && ops::info_of(node.operation).rounds)
            elements[result] = Element::bfloat16;
    }
    return elements;
}

bool has_bfloat16_kernel(const Node &node, const Shape &weights, std::int64_t groups, Element result) {
    if (!is_any_of<ops::Convolution, ops::FullyConnected>(node.operation)) return false;
    const std::int64_t inputs = weights[3];
    if (groups == 1) return true;
    if (inputs > 1) return inputs % 2 == 0;
    return weights[0] == groups && result == Element::bfloat16;
}

void convert_elements(StepBuilder &builder, std::size_t first, bool rounds_source) {
    const auto begin = builder.steps.begin() + static_cast<std::ptrdiff_t>(first);
    std::vector<Step> steps(std::make_move_iterator(begin), std::make_move_iterator(builder.steps.end()));
    builder.steps.erase(begin, builder.steps.end());
    Converter converter(builder, rounds_source);
    for (Step &step : steps) converter.convert(std::move(step));
}

} // namespace mpscnn::cpu
