#include "engine/run/exact_positions.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <concepts>
#include <cstdlib>
#include <limits>

#include "core/text.h"

namespace mpscnn::engine {

namespace {

/// The number of significant bits of each type, including the leading 1.
constexpr int bits_of_float16 = 11, bits_of_bfloat16 = 8;
/// float16 has all whole numbers up to this one.
constexpr std::int64_t whole_halves = 1 << bits_of_float16;
/// Constants with more elements are not searched for their maximum.
constexpr std::int64_t searched_elements = 1 << 16;
constexpr double unknown = std::numeric_limits<double>::infinity();

template <class... Ops> bool is_any(const ops::Operation &operation) { return (operation.is<Ops>() || ...); }

bool only_moves(const ops::Operation &operation) {
    return is_any<ops::ChannelShuffle, ops::Concatenation, ops::DepthToSpace, ops::Gather, ops::Padding,
                  ops::Reshape, ops::Slice, ops::Tile, ops::Transpose>(operation);
}

/// True for arithmetic whose result is a whole number if both operands are.
bool keeps_whole_numbers(const ops::Operation &operation) {
    return is_any<ops::Addition, ops::Mask, ops::MaskOut, ops::Maximum, ops::Minimum, ops::Multiplication,
                  ops::Subtraction>(operation);
}

/// True for a function whose result is a whole number if its input is.
bool keeps_whole_numbers(const ops::Neuron &neuron) {
    switch (neuron.kind) {
    case ops::NeuronKind::none:
    case ops::NeuronKind::absolute:
    case ops::NeuronKind::ceil:
    case ops::NeuronKind::clamp:
    case ops::NeuronKind::floor:
    case ops::NeuronKind::relu:
    case ops::NeuronKind::round:
        return true;
    case ops::NeuronKind::linear:
        return std::abs(neuron.a) == 1.0f;
    default:
        return false;
    }
}

/// Return the parameters of arithmetic on two tensors, or null.
const ops::Arithmetic *arithmetic_of(const ops::Operation &operation) {
    return operation.visit([]<class Op>(const Op &found) -> const ops::Arithmetic * {
        if constexpr (std::derived_from<Op, ops::Arithmetic>)
            return &found;
        else
            return nullptr;
    });
}

/// Call visit(value) for each value of a weight, in pieces, so that a large weight is not copied as a whole.
template <class Visit> void for_each_value(const WeightTensor &tensor, Visit visit) {
    std::array<float, 1024> piece;
    const auto count = static_cast<std::size_t>(tensor.elements());
    for (std::size_t first = 0; first < count; first += piece.size()) {
        const std::span<float> part = std::span(piece).first(std::min(piece.size(), count - first));
        tensor.read(first, part);
        for (const float value : part) visit(static_cast<double>(value));
    }
}

/// True if a float with this number of significant bits holds all whole numbers of a weight exactly.
bool holds_whole_numbers(const WeightTensor &tensor, int bits) {
    bool holds = true;
    for_each_value(tensor, [&](double value) {
        int exponent = 0;
        const double scaled = std::ldexp(std::frexp(value, &exponent), bits);
        holds &= value != std::floor(value) || scaled == std::floor(scaled);
    });
    return holds;
}

const WeightTensor *value_of(const Node &constant) {
    const auto found = constant.weights.find("value");
    return found == constant.weights.end() ? nullptr : &found->second;
}

double scaled(float factor, double bound) {
    return factor == 0.0f ? 0.0 : std::abs(static_cast<double>(factor)) * bound;
}

/// Return the maximum magnitude of a function's results, if `bound` is that of its inputs.
double bound_after(const ops::Neuron &neuron, double bound) {
    switch (neuron.kind) {
    case ops::NeuronKind::none:
    case ops::NeuronKind::absolute:
        return bound;
    case ops::NeuronKind::relu:
        return bound * std::max(1.0, std::abs(static_cast<double>(neuron.a)));
    case ops::NeuronKind::sign:
        return 1.0;
    case ops::NeuronKind::clamp:
        return std::min<double>(bound, std::max(std::abs(neuron.a), std::abs(neuron.b)));
    case ops::NeuronKind::floor:
    case ops::NeuronKind::ceil:
    case ops::NeuronKind::round:
        return std::ceil(bound);
    case ops::NeuronKind::linear:
        return scaled(neuron.a, bound) + std::abs(neuron.b);
    default:
        return unknown;
    }
}

/// Searches a graph for the layers, inputs and constants that hold positions beyond `whole_halves`.
class Search {
public:
    /// The values that hold the positions of one reader. Values that an earlier search found are left out.
    struct Found {
        std::vector<ValueId> layers;  ///< layers that compute positions
        std::vector<ValueId> sources; ///< inputs and constants: float16 networks always round them
    };

    explicit Search(const Graph &graph) : graph_(graph), seen_(static_cast<std::size_t>(graph.values())) {
        bounds_.assign(graph.inputs().size(), unknown);
        for (const Node &node : graph.nodes()) {
            const double bound = bound_of(node);
            bounds_.push_back(node.activation ? bound_after(*node.activation, bound) : bound);
        }
    }

    Found trace(ValueId positions) {
        Found found;
        std::vector<ValueId> waiting{positions};
        while (!waiting.empty()) {
            const ValueId value = waiting.back();
            waiting.pop_back();
            if (seen_[static_cast<std::size_t>(value)]) continue;
            seen_[static_cast<std::size_t>(value)] = true;
            if (graph_.is_input(value)) {
                found.sources.push_back(value);
                continue;
            }
            if (bound(value) <= static_cast<double>(whole_halves)) continue;
            const Node &node = graph_.producer(value);
            if (is_any<ops::Constant>(node.operation)) {
                const WeightTensor *tensor = value_of(node);
                if (!tensor || !holds_whole_numbers(*tensor, bits_of_float16)) found.sources.push_back(value);
                continue;
            }
            found.layers.push_back(value);
            const std::size_t operands = operands_with_positions(node);
            waiting.insert(waiting.end(), node.inputs.begin(),
                           node.inputs.begin() + static_cast<std::ptrdiff_t>(operands));
        }
        return found;
    }

private:
    double bound(ValueId value) const { return bounds_[static_cast<std::size_t>(value)]; }

    /// Return the maximum magnitude of a layer's results before its activation.
    double bound_of(const Node &node) const {
        const ops::Operation &operation = node.operation;
        if (is_any<ops::Argument, ops::TopK>(operation)) // engines refuse more channels in float16
            return static_cast<double>(whole_halves);
        if (is_any<ops::Greater, ops::GreaterOrEqual, ops::Equal, ops::NotEqual>(operation)) return 1.0;
        if (const auto *neuron = operation.get_if<ops::Neuron>())
            return bound_after(*neuron, bound(node.inputs[0]));
        if (is_any<ops::TakeAlongAxis>(operation)) return bound(node.inputs[0]);
        if (is_any<ops::Constant>(operation)) return bound_of_constant(node);
        if (only_moves(operation) && !is_any<ops::Padding>(operation)) {
            double maximum = 0.0;
            for (const ValueId value : node.inputs) maximum = std::max(maximum, bound(value));
            return maximum;
        }
        const ops::Arithmetic *arithmetic = arithmetic_of(operation);
        if (!arithmetic || !keeps_whole_numbers(operation)) return unknown;
        const double first = scaled(arithmetic->primary_scale, bound(node.inputs[0])),
                     second = scaled(arithmetic->secondary_scale, bound(node.inputs[1]));
        if (std::isinf(first) || std::isinf(second)) return unknown;
        return (is_any<ops::Multiplication>(operation) ? first * second : first + second) +
               std::abs(arithmetic->bias);
    }

    static double bound_of_constant(const Node &node) {
        const WeightTensor *tensor = value_of(node);
        if (!tensor || tensor->elements() > searched_elements) return unknown;
        double maximum = 0.0;
        for_each_value(*tensor, [&](double value) { maximum = std::max(maximum, std::abs(value)); });
        return maximum;
    }

    /// Return how many of a layer's operands hold positions if its result does, counted from the first.
    static std::size_t operands_with_positions(const Node &node) {
        if (is_any<ops::TakeAlongAxis>(node.operation)) return 1;
        if (only_moves(node.operation)) return node.inputs.size();
        if (const auto *neuron = node.operation.get_if<ops::Neuron>())
            return keeps_whole_numbers(*neuron) ? 1 : 0;
        const ops::Arithmetic *arithmetic = arithmetic_of(node.operation);
        const bool is_plain = arithmetic && std::abs(arithmetic->primary_scale) == 1.0f &&
                              std::abs(arithmetic->secondary_scale) == 1.0f;
        return is_plain && keeps_whole_numbers(node.operation) ? node.inputs.size() : 0;
    }

    const Graph &graph_;
    std::vector<double> bounds_; ///< the maximum magnitude of each value
    std::vector<bool> seen_;
};

/// Return the extent of the axis along which a node takes elements, or 0 if the node does something else.
std::int64_t extent_of_positions(const Graph &graph, const Node &node) {
    const auto *taken = node.operation.get_if<ops::TakeAlongAxis>();
    if (!taken) return 0;
    const Shape &shape = graph.shape(node.inputs[0]);
    return shape[taken->positive_axis(shape)];
}

/// Return the nodes that take elements of an axis which may have positions beyond `whole_halves`.
std::vector<const Node *> readers_of_long_axes(const Graph &graph) {
    std::vector<const Node *> readers;
    for (const Node &node : graph.nodes())
        if (const std::int64_t extent = extent_of_positions(graph, node);
            extent == Shape::any || extent > whole_halves + 1)
            readers.push_back(&node);
    return readers;
}

/// Keep in float32 all layers that compute positions beyond `whole_halves`. Call refuse(reader, source) for
/// each layer that reads such positions from an input or a constant, which float16 networks round.
template <class Refuse> void keep_positions(Graph &graph, Refuse refuse) {
    const std::vector<const Node *> readers = readers_of_long_axes(graph);
    if (readers.empty()) return;
    Search search(graph);
    for (const Node *reader : readers) {
        const Search::Found found = search.trace(reader->inputs[1]);
        if (!found.sources.empty()) refuse(*reader, found.sources.front());
        for (const ValueId layer : found.layers) graph.keep_float32(layer, true);
    }
}

[[noreturn]] void refuse_source(const Graph &graph, const Node &reader, ValueId source) {
    const std::int64_t extent = extent_of_positions(graph, reader);
    fail(ErrorKind::unsupported, {"network ", quoted(graph.name()), ": layer ", quoted(reader.name),
                                  " (take_along_axis) takes elements of an axis of ",
                                  extent == Shape::any ? "any extent" : concat({extent, " elements"}),
                                  " by positions, and float16 has whole numbers up to ", whole_halves,
                                  " only: ", quoted(graph.value_name(source)),
                                  " holds positions, so compile it in float32 or bfloat16"});
}

/// Refuse layers that compare with constants of whole numbers, if a float of `bits` significant bits rounds
/// them.
void require_exact_tables(const Graph &graph, int bits, const char *precision) {
    // The constant whose numbers a value holds, also after layers that only move them; null for other values.
    std::vector<const Node *> constants(graph.inputs().size(), nullptr);
    for (const Node &node : graph.nodes()) {
        const Node *constant = nullptr;
        if (is_any<ops::Constant>(node.operation))
            constant = &node;
        else if (only_moves(node.operation) && node.inputs.size() == 1)
            constant = constants[static_cast<std::size_t>(node.inputs[0])];
        constants.push_back(constant);
        if (!is_any<ops::Equal>(node.operation)) continue;
        for (const ValueId value : node.inputs) {
            const Node *table = constants[static_cast<std::size_t>(value)];
            const WeightTensor *tensor = table ? value_of(*table) : nullptr;
            if (tensor && !holds_whole_numbers(*tensor, bits))
                fail(ErrorKind::unsupported,
                     {"network ", quoted(graph.name()), ": layer ", quoted(node.name),
                      " looks for whole numbers that ", precision,
                      " rounds, as those of a large table of words are: compile it in float32"});
        }
    }
}

} // namespace

void keep_positions(Graph &graph) {
    keep_positions(graph, [](const Node &, ValueId) {});
}

void keep_exact_numbers(Graph &graph, Precision precision) {
    if (precision == Precision::float16) {
        keep_positions(graph,
                       [&](const Node &reader, ValueId source) { refuse_source(graph, reader, source); });
        require_exact_tables(graph, bits_of_float16, name_of(precision));
    } else if (precision == Precision::bfloat16) {
        require_exact_tables(graph, bits_of_bfloat16, name_of(precision));
    }
}

} // namespace mpscnn::engine
