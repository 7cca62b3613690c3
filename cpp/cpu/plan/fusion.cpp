#include "cpu/plan/fusion.h"

#include <algorithm>
#include <concepts>
#include <map>

namespace mpscnn::cpu {

using engine::Graph;
using engine::Node;
using engine::ValueId;

namespace {

/// Return the number of times that each value is read; an output of the graph counts as one.
std::vector<int> count_uses(const Graph &graph) {
    std::vector<int> uses(static_cast<std::size_t>(graph.values()), 0);
    for (const Node &node : graph.nodes())
        for (ValueId value : node.inputs) ++uses[static_cast<std::size_t>(value)];
    for (const Node &node : graph.nodes())
        for (const auto &variable : node.variables) ++uses[static_cast<std::size_t>(variable.second)];
    for (ValueId value : graph.outputs()) ++uses[static_cast<std::size_t>(value)];
    return uses;
}

bool multiplies_weights(const Node &node) {
    return node.operation.is<ops::Convolution>() || node.operation.is<ops::FullyConnected>();
}

bool is_elementwise(const Node &node) {
    return node.operation.visit([]<class Op>(const Op &) { return std::derived_from<Op, ops::Arithmetic>; });
}

/// True if the padding adds zeros around the image. A convolution's window reads such zeros outside the image
/// anyway. Padding that crops does not count, because the window would read the cropped pixels.
bool is_zero_border(const Node &node) {
    const auto *padding = node.operation.get_if<ops::Padding>();
    return padding && padding->mode == ops::PaddingMode::constant_ && padding->values.empty() &&
           padding->value == 0.0f && padding->front == 0 && padding->back == 0 && padding->top >= 0 &&
           padding->bottom >= 0 && padding->left >= 0 && padding->right >= 0;
}

/// True for a 1x1 convolution without stride that has enough outputs for the kernel whose sums start with a
/// tensor (ConvolutionTask::start).
bool is_plain_pointwise(const ops::Convolution &convolution, const Shape &weights) {
    constexpr std::int64_t min_outputs = 16;
    const ops::Window &window = convolution.window;
    return convolution.groups == 1 && weights[0] >= min_outputs && weights[1] == 1 && weights[2] == 1 &&
           window.stride_y == 1 && window.stride_x == 1 && window.pad_top == 0 && window.pad_bottom == 0 &&
           window.pad_left == 0 && window.pad_right == 0;
}

/// True if the activation's derivative is 1 between two limits and 0 elsewhere.
bool passes_between(const ops::Neuron &neuron) {
    const bool is_relu = neuron.kind == NeuronKind::relu || neuron.kind == NeuronKind::relun;
    return neuron.kind == NeuronKind::clamp || (is_relu && neuron.a == 0.0f);
}

} // namespace

std::optional<std::size_t> gate_operand(const Graph &graph, const Node &product) {
    const auto &multiplication = product.operation.as<ops::Multiplication>();
    for (const std::size_t operand : {0, 1}) {
        ops::Multiplication plain = multiplication;
        std::int64_t &y = operand == 0 ? plain.primary_stride_y : plain.secondary_stride_y;
        std::int64_t &x = operand == 0 ? plain.primary_stride_x : plain.secondary_stride_x;
        if (y != 0 || x != 0) continue;
        y = x = 1;
        const Shape &pixel = graph.shape(product.inputs[operand]);
        if (plain.is_plain() && pixel.rank() == 4 && pixel[1] == 1 && pixel[2] == 1) return operand;
    }
    return std::nullopt;
}

namespace {

class FusionFinder {
public:
    FusionFinder(const Graph &graph, const FusionOptions &options, const TakesResidual &takes_residual)
        : graph_(graph), options_(options), takes_residual_(takes_residual), uses_(count_uses(graph)),
          fusions_(graph.nodes().size()) {}

    std::vector<NodeFusion> run() {
        for (std::size_t i = 0; i < fusions_.size(); ++i) {
            const ops::Operation &operation = graph_.nodes()[i].operation;
            if (const auto *convolution = operation.get_if<ops::Convolution>()) {
                find_border(i);
                if (options_.from_pixels) find_broadcast(i, *convolution);
                if (options_.from_pixels) find_gate(i, *convolution);
            } else if (const auto *sum = operation.get_if<ops::Addition>(); sum && sum->is_plain()) {
                find_product(i);
            }
        }
        if (!options_.has_floats) return std::move(fusions_);
        find_masks();
        find_constants();
        find_joined_halves();
        if (options_.rounds_nothing) find_normalizations();
        return std::move(fusions_);
    }

private:
    /// Return the node that computes the value, if the value has a single consumer.
    std::optional<std::size_t> sole_producer(ValueId value) const {
        if (graph_.is_input(value) || uses_[static_cast<std::size_t>(value)] != 1) return std::nullopt;
        return static_cast<std::size_t>(value) - graph_.inputs().size();
    }
    /// Return the node that computes the value, if it is an `Op` without activation and the value has a
    /// single consumer.
    template <class Op> std::optional<std::size_t> sole(ValueId value) const {
        const auto found = sole_producer(value);
        if (!found || graph_.nodes()[*found].activation) return std::nullopt;
        return graph_.nodes()[*found].operation.is<Op>() ? found : std::nullopt;
    }

    void find_border(std::size_t i) {
        const auto border = sole_producer(graph_.nodes()[i].inputs[0]);
        if (!border || !is_zero_border(graph_.nodes()[*border])) return;
        fusions_[*border].absorbed = true;
        fusions_[i].border = border;
    }

    /// Find a 1x1 convolution that reads a concatenation whose first operand is a pixel, broadcast by a
    /// resize. Since this operand comes first, its products come first in every sum. They are equal for all
    /// pixels, so they are computed once.
    void find_broadcast(std::size_t i, const ops::Convolution &convolution) {
        const Node &node = graph_.nodes()[i];
        if (!node.variables.empty()) return;
        if (!is_plain_pointwise(convolution, node.weights.at("weight").shape())) return;
        const auto joined = sole<ops::Concatenation>(node.inputs[0]);
        if (!joined) return;
        const Node &concatenation = graph_.nodes()[*joined];
        const Shape &whole = graph_.shape(node.inputs[0]), &first = graph_.shape(concatenation.inputs[0]);
        const auto broadcast = sole<ops::Resize>(concatenation.inputs[0]);
        if (!broadcast || whole.rank() != 4 || first.back() == whole.back()) return;
        const Node &resize = graph_.nodes()[*broadcast];
        const Shape &pixel = graph_.shape(resize.inputs[0]);
        if (pixel[1] != 1 || pixel[2] != 1) return;
        if (resize.operation.as<ops::Resize>().edge != ops::EdgeRule::clamp) return;
        fusions_[*broadcast].absorbed = true;
        fusions_[i].broadcast = broadcast;
    }

    /// Find a gate (squeeze and excitation): a multiplication of each channel by one number. The 1x1
    /// convolution after it multiplies while it reads its input.
    void find_gate(std::size_t i, const ops::Convolution &convolution) {
        const Node &node = graph_.nodes()[i];
        if (!node.variables.empty()) return;
        if (!is_plain_pointwise(convolution, node.weights.at("weight").shape())) return;
        const auto product = sole<ops::Multiplication>(node.inputs[0]);
        if (!product || !gate_operand(graph_, graph_.nodes()[*product])) return;
        fusions_[*product].absorbed = true;
        fusions_[i].gate = product;
    }

    void find_product(std::size_t i) {
        const Node &node = graph_.nodes()[i];
        // Let the operand that is computed last add the other operand, which exists already at that time.
        const auto last = sole_producer(std::max(node.inputs[0], node.inputs[1]));
        if (!last || !multiplies_weights(graph_.nodes()[*last]) || fusions_[*last].broadcast) return;
        if (!takes_residual_(*last, std::min(node.inputs[0], node.inputs[1]))) return;
        fusions_[i].absorbed = true;
        fusions_[*last].addition = i;
    }

    /// Find elementwise operations whose second operand is a constant. Their kernels read it directly, so a
    /// constant without other consumers needs no step.
    void find_constants() {
        std::vector<int> uses = uses_;
        for (std::size_t i = 0; i < fusions_.size(); ++i) {
            const Node &node = graph_.nodes()[i];
            if (fusions_[i].absorbed || !is_elementwise(node) || graph_.is_input(node.inputs[1])) continue;
            const auto value = static_cast<std::size_t>(node.inputs[1]);
            const std::size_t producer = value - graph_.inputs().size();
            if (!graph_.nodes()[producer].operation.is<ops::Constant>()) continue;
            fusions_[i].constant = producer;
            fusions_[producer].absorbed = --uses[value] == 0;
        }
    }

    /// Let the gradients of a batch normalization also compute the gradient of the activation after it, if
    /// they are its only consumers.
    void find_masks() {
        std::map<ValueId, std::vector<std::size_t>> readers;
        for (std::size_t i = 0; i < fusions_.size(); ++i)
            for (const ValueId value : graph_.nodes()[i].inputs) readers[value].push_back(i);
        for (std::size_t i = 0; i < fusions_.size(); ++i) {
            const auto *gradient = graph_.nodes()[i].operation.get_if<ops::NeuronGradient>();
            if (!gradient || !gradient->from_result || !passes_between(gradient->neuron)) continue;
            const ValueId result = graph_.nodes()[i].inputs[1], own = graph_.result_of(i);
            const std::vector<std::size_t> &own_readers = readers[own];
            const bool fits = std::all_of(own_readers.begin(), own_readers.end(), [&](std::size_t reader) {
                return is_gradient_of_normalization(graph_.nodes()[reader], own, result);
            });
            if (!fits || static_cast<int>(own_readers.size()) != uses_[static_cast<std::size_t>(own)])
                continue;
            fusions_[i].absorbed = true;
            for (const std::size_t reader : own_readers) fusions_[reader].mask = i;
        }
    }

    /// True if `node` is a batch normalization whose statistics are tensors, as in training, and not weights.
    static bool normalizes_by_tensors(const Node &node) {
        return node.operation.is<ops::BatchNormalization>() && node.weights.empty() &&
               node.inputs.size() == 2;
    }

    /// True if `node` computes from `gradient` a gradient of the batch normalization that computed `result`.
    bool is_gradient_of_normalization(const Node &node, ValueId gradient, ValueId result) const {
        if (!node.operation.is<ops::BatchNormalizationSums>() &&
            !node.operation.is<ops::BatchNormalizationGradient>())
            return false;
        if (graph_.is_input(result) || node.inputs[0] != gradient ||
            std::count(node.inputs.begin(), node.inputs.end(), gradient) != 1)
            return false;
        const Node &forward = graph_.producer(result);
        return normalizes_by_tensors(forward) && forward.activation && forward.inputs[0] == node.inputs[1] &&
               forward.inputs[1] == node.inputs[2];
    }

    /// Find weight gradients of convolutions whose input is the result of a batch normalization. They
    /// recompute this input from the normalization's source. The normalization's gradients need the source
    /// anyway, so its result need not stay in memory until the backward pass.
    void find_normalizations() {
        for (std::size_t i = 0; i < fusions_.size(); ++i) {
            const Node &node = graph_.nodes()[i];
            if (!node.operation.is<ops::ConvolutionWeightGradient>()) continue;
            const ValueId source = node.inputs[0];
            if (graph_.is_input(source)) continue;
            const Node &forward = graph_.producer(source);
            if (!normalizes_by_tensors(forward)) continue;
            if (forward.activation && !passes_between(*forward.activation)) continue;
            const bool is_kept =
                std::any_of(graph_.nodes().begin(), graph_.nodes().end(), [&](const Node &other) {
                    return other.operation.is<ops::BatchNormalizationGradient>() &&
                           other.inputs[1] == forward.inputs[0];
                });
            if (is_kept)
                fusions_[i].normalization = static_cast<std::size_t>(source) - graph_.inputs().size();
        }
    }

    /// Find channel shuffles that interleave two groups. They can read the groups from two tensors, without
    /// the concatenation before.
    void find_joined_halves() {
        for (std::size_t i = 0; i < fusions_.size(); ++i) {
            const auto *shuffle = graph_.nodes()[i].operation.get_if<ops::ChannelShuffle>();
            if (!shuffle || shuffle->groups != 2) continue;
            const auto joined = sole<ops::Concatenation>(graph_.nodes()[i].inputs[0]);
            if (!joined) continue;
            const Node &concatenation = graph_.nodes()[*joined];
            const std::vector<ValueId> &halves = concatenation.inputs;
            const Shape &first = graph_.shape(halves[0]);
            const int axis = concatenation.operation.as<ops::Concatenation>().positive_axis({&first, 1});
            if (halves.size() != 2 || axis != first.rank() - 1 || first != graph_.shape(halves[1])) continue;
            fusions_[*joined].absorbed = true;
            fusions_[i].joined = joined;
        }
    }

    const Graph &graph_;
    const FusionOptions options_;
    const TakesResidual &takes_residual_;
    const std::vector<int> uses_;
    std::vector<NodeFusion> fusions_;
};

} // namespace

std::vector<NodeFusion> find_fusions(const Graph &graph, const FusionOptions &options,
                                     const TakesResidual &takes_residual) {
    return FusionFinder(graph, options, takes_residual).run();
}

} // namespace mpscnn::cpu
