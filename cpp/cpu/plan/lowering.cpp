#include "cpu/plan/lowering.h"

#include <algorithm>

#include "cpu/machine/thread_pool.h"
#include "cpu/plan/bfloat16.h"
#include "cpu/plan/caches.h"
#include "cpu/plan/fusion.h"
#include "cpu/plan/integer_lowering.h"
#include "cpu/plan/operation.h"

namespace mpscnn::cpu {

using engine::Graph;
using engine::Node;
using engine::Precision;
using engine::ValueId;

namespace {

OwnedActivation lower_activation(const Node &node, const KernelTable &kernels) {
    return node.activation ? lower_neuron(*node.activation, node, kernels) : OwnedActivation{};
}

/// Turns the nodes of one network into fused operations with packed weights.
class Lowering {
public:
    Lowering(const Graph &graph, const engine::LowerOptions &options, const KernelTable &kernels)
        : graph_(graph), precision_(options.precision), sums_(options.sums), winograd_(options.winograd),
          kernels_(kernels), elements_(elements_of_values(graph, options.precision)),
          has_floats_(precision_ == Precision::float32 ||
                      (precision_ == Precision::bfloat16 && keeps_floats(graph))) {}

    std::shared_ptr<const LoweredNetwork> run() {
        // In int8 networks nothing is fused: each layer's result has its own scale.
        const std::vector<NodeFusion> fusions =
            precision_ == Precision::int8
                ? std::vector<NodeFusion>(graph_.nodes().size())
                : find_fusions(graph_,
                               {.from_pixels = precision_ == Precision::float32,
                                .has_floats = precision_ == Precision::float16 || has_floats_,
                                .rounds_nothing = has_floats_},
                               [&](std::size_t node, ValueId other) { return takes_residual(node, other); });
        if (precision_ == Precision::bfloat16 && has_floats_)
            elements_ = elements_of_factors(graph_, fusions);
        auto network = std::make_shared<LoweredNetwork>();
        network->graph = graph_.without_weights();
        network->kernels = &kernels_;
        network->precision = precision_;
        network->elements = elements_;
        std::vector<std::size_t> kept;
        for (std::size_t i = 0; i < fusions.size(); ++i)
            if (!fusions[i].absorbed) kept.push_back(i);
        network->operations.resize(kept.size());
        fuse_all(kept, fusions, network->operations);
        for (const FusedOperation &operation : network->operations)
            network->weight_bytes += operation.weight_bytes;
        // Count the weights twice, because tensors need some of the cache as well.
        const bool cached =
            2 * network->weight_bytes <= static_cast<std::size_t>(usable_last_level_bytes(machine_caches()));
        for (FusedOperation &operation : network->operations) {
            operation.packed.cached = cached;
            if (operation.broadcast) operation.broadcast->packed.cached = cached;
            for (ConvolutionPart &part : operation.parts) part.packed.cached = cached;
        }
        return network;
    }

private:
    /// Return the number of weights of a node.
    std::size_t weights_of(std::size_t index) const {
        std::size_t elements = 0;
        for (const auto &[role, tensor] : graph_.nodes()[index].weights)
            elements += static_cast<std::size_t>(tensor.elements());
        return elements;
    }

    /// Lower the nodes `kept` in several threads, starting with the last node. Later layers usually have more
    /// weights, so the small ones come last and all threads finish at about the same time. Then the threads
    /// share the weights of the largest layers.
    void fuse_all(const std::vector<std::size_t> &kept, const std::vector<NodeFusion> &fusions,
                  std::vector<FusedOperation> &operations) const {
        // The minimum number of weights for each thread. Fewer weights take less time than starting a thread.
        constexpr std::size_t worth_a_thread = 1 << 18;
        std::size_t all = 0;
        for (const std::size_t index : kept) all += weights_of(index);
        const auto maximum = static_cast<std::size_t>(ThreadPool::automatic_threads());
        ThreadPool pool(static_cast<int>(std::clamp<std::size_t>(all / worth_a_thread, 1, maximum)));

        // The expected type of packed weights: half for most layers of a float16 network.
        const bool halves = precision_ == Precision::float16 && kernels_.has_fma;
        WeightMemory packed(all * (halves ? sizeof(std::uint16_t) : sizeof(float)));
        WeightSlices slices;
        std::vector<PackingMemory> memory(static_cast<std::size_t>(pool.threads()));
        pool.run(static_cast<std::int64_t>(kept.size()),
                 [&](int worker, std::int64_t begin, std::int64_t end) {
                     PackingMemory &own = memory[static_cast<std::size_t>(worker)];
                     for (auto i = static_cast<std::size_t>(begin); i < static_cast<std::size_t>(end); ++i) {
                         const std::size_t operation = kept.size() - 1 - i, node = kept[operation];
                         operations[operation] = fuse(node, fusions[node], {packed, slices, own});
                     }
                 });
        pool.run(static_cast<std::int64_t>(slices.size()),
                 [&](int worker, std::int64_t begin, std::int64_t end) {
                     for (auto i = static_cast<std::size_t>(begin); i < static_cast<std::size_t>(end); ++i)
                         slices.pack(kernels_, i, memory[static_cast<std::size_t>(worker)]);
                 });
    }

    bool rounds(const Node &node) const {
        return precision_ == Precision::float16 && !node.keep_float32 && ops::info_of(node.operation).rounds;
    }
    Precision weight_precision(const Node &node) const {
        const bool keeps = precision_ == Precision::float16 || precision_ == Precision::int8;
        return node.keep_float32 && keeps ? Precision::float32 : precision_;
    }
    /// True for a node whose result is stored as integers in int8 networks. A view has the integers of the
    /// value that it views.
    bool is_of_integers(std::size_t index) const {
        const ValueId result = graph_.result_of(index);
        return !graph_.nodes()[index].keep_float32 ||
               (element(result) == Element::uint8 && graph_.quantization(result));
    }
    Element element(ValueId value) const { return elements_[static_cast<std::size_t>(value)]; }

    /// True if the kernel of a convolution or dense layer can add `other` to its result. In bfloat16 networks
    /// only the matrix product's kernel can, and only a bfloat16 value.
    bool takes_residual(std::size_t index, ValueId other) const {
        const Node &node = graph_.nodes()[index];
        if (precision_ != Precision::bfloat16) return true;
        if (element(other) != Element::bfloat16) return false;
        const auto *convolution = node.operation.get_if<ops::Convolution>();
        const Shape &weights = node.weights.at("weight").shape();
        const bool dense = !convolution || convolution->groups == 1 || weights[3] % 2 == 0;
        return dense;
    }

    FusedOperation fuse(std::size_t index, const NodeFusion &fusion, LoweringMemory memory) const {
        const Node &node = graph_.nodes()[index];
        FusedOperation fused;
        fused.operation = node.operation;
        fused.inputs = node.inputs;
        if (precision_ == Precision::int8 && is_of_integers(index)) {
            fused.layers = {node.name};
            fused.result = graph_.result_of(index);
            fused.element = element(fused.result);
            fused.integers =
                lower_to_integers(graph_, index, kernels_.multiplies_quads() ? &kernels_.quads : nullptr);
            fused.weight_bytes = fused.integers->bytes();
            return fused;
        }
        fused.variables = node.variables;
        fused.result = graph_.result_of(index);
        fused.activation = lower_activation(node, kernels_);
        fused.rounds = rounds(node);
        fused.multiplies = is_product(node) && node.variables.empty();
        fused.element = element(fused.result);
        if (fusion.border) add_border(fused, graph_.nodes()[*fusion.border]);
        if (fusion.broadcast) {
            const Node &resize = graph_.nodes()[*fusion.broadcast];
            fused.layers.push_back(resize.name);
            const ValueId pixel = resize.inputs[0];
            fused.broadcast = {.value = pixel, .channels = graph_.shape(pixel).back(), .packed = {}};
        }
        if (fusion.gate) add_gate(fused, graph_.nodes()[*fusion.gate]);
        if (fusion.constant) add_constant(fused, graph_.nodes()[*fusion.constant]);
        if (fusion.joined) {
            fused.layers.push_back(graph_.nodes()[*fusion.joined].name);
            fused.inputs = graph_.nodes()[*fusion.joined].inputs;
        }
        if (fusion.mask) add_mask(fused, graph_.nodes()[*fusion.mask]);
        if (fusion.normalization) add_normalization(fused, graph_.nodes()[*fusion.normalization]);
        fused.layers.push_back(node.name);
        if (fusion.addition) add_residual(fused, *fusion.addition);
        if (fused.residual) round_sum_to_bfloat16(fused, index);
        const OperationLowering lowering{graph_,
                                         node,
                                         weight_precision(node),
                                         kernels_,
                                         fused,
                                         graph_.shape(graph_.result_of(index)),
                                         memory,
                                         sums_ == engine::Sums::float16 && !node.keep_float32,
                                         winograd_};
        node.operation.visit([&](const auto &operation) { lower(lowering, operation); });
        fused.weight_bytes = weight_bytes(fused);
        return fused;
    }

    void add_border(FusedOperation &fused, const Node &padding) const {
        fused.layers.push_back(padding.name);
        fused.border = padding.operation.as<ops::Padding>();
        fused.inputs = padding.inputs;
    }

    void add_constant(FusedOperation &fused, const Node &constant) const {
        fused.constant = constant_values(constant, weight_precision(constant));
    }

    void add_gate(FusedOperation &fused, const Node &product) const {
        const std::size_t operand = *gate_operand(graph_, product);
        fused.layers.push_back(product.name);
        fused.gate = product.inputs[operand];
        fused.inputs = {product.inputs[1 - operand]};
    }

    /// Let a gradient of a batch normalization also compute `gradient`, the gradient of the activation after
    /// the normalization. The step of the sums runs first, so its layers include the name of `gradient`.
    void add_mask(FusedOperation &fused, const Node &gradient) const {
        if (fused.operation.is<ops::BatchNormalizationSums>()) fused.layers.push_back(gradient.name);
        fused.inputs[0] = gradient.inputs[0];
        fused.variables = graph_.producer(gradient.inputs[1]).variables;
        fused.activation =
            lower_neuron(gradient.operation.as<ops::NeuronGradient>().neuron, gradient, kernels_);
    }

    void add_normalization(FusedOperation &fused, const Node &forward) const {
        fused.inputs = {forward.inputs[0], fused.inputs[1], forward.inputs[1]};
        fused.variables = forward.variables;
        fused.normalization = forward.operation.as<ops::BatchNormalization>();
        fused.activation = lower_activation(forward, kernels_);
    }

    void add_residual(FusedOperation &fused, std::size_t index) const {
        const Node &addition = graph_.nodes()[index];
        fused.layers.push_back(addition.name);
        fused.residual = addition.inputs[0] == fused.result ? addition.inputs[1] : addition.inputs[0];
        fused.residual_activation = lower_activation(addition, kernels_);
        fused.residual_rounds = rounds(addition);
        fused.result = graph_.result_of(index);
    }

    /// If the result of a layer is bfloat16, round it to bfloat16 before the residual is added. Without a
    /// residual, the result is rounded when it is stored.
    void round_sum_to_bfloat16(FusedOperation &fused, std::size_t index) const {
        if (element(graph_.result_of(index)) == Element::bfloat16) fused.rounds = true;
    }

    static std::size_t floats_of(const PackedConvolution &packed) {
        if (!packed.weights.data()) return 0; // weights that are tensors of the graph
        return packed.weights.size() + packed.bias.size() + (packed.plain ? floats_of(*packed.plain) : 0);
    }

    static std::size_t weight_bytes(const FusedOperation &fused) {
        std::size_t floats = floats_of(fused.packed) + fused.scale.size() + fused.shift.size() +
                             fused.constant.size() + fused.activation.slopes.size() +
                             fused.residual_activation.slopes.size();
        if (fused.broadcast) floats += floats_of(fused.broadcast->packed);
        for (const ConvolutionPart &part : fused.parts) floats += floats_of(part.packed);
        floats += fused.binary.bits.size() + fused.binary.scale.size() + fused.binary.bias.size() +
                  fused.binary.input_bias.size() + fused.binary.input_scale.size();
        return floats * sizeof(float) + (fused.half_sums ? fused.half_sums->bytes() : 0);
    }

    const Graph &graph_;
    Precision precision_;
    engine::Sums sums_;
    const bool winograd_;
    const KernelTable &kernels_;
    std::vector<Element> elements_;
    bool has_floats_; ///< true: values between layers are float32 and not rounded
};

} // namespace

AlignedBuffer<float> padded_to_vectors(const std::vector<float> &values) {
    constexpr std::size_t widest_vector = 16;
    AlignedBuffer<float> buffer((values.size() + widest_vector - 1) / widest_vector * widest_vector);
    std::fill(std::copy(values.begin(), values.end(), buffer.data()), buffer.data() + buffer.size(), 0.0f);
    return buffer;
}

std::shared_ptr<const LoweredNetwork> lower_network(const Graph &graph, const engine::LowerOptions &options,
                                                    const KernelTable &kernels) {
    graph.require_complete();
    return Lowering(graph, options, kernels).run();
}

} // namespace mpscnn::cpu
