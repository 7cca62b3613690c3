#include <algorithm>
#include <type_traits>

#include "metal/arrays/array_operations.h"
#include "metal/layers/convolution.h"
#include "metal/run/lowering.h"

namespace mpscnn::metal {

using engine::Graph;
using engine::Node;
using engine::Precision;
using engine::ValueId;

namespace {

/// Make an object that is destroyed in an autorelease pool.
template <class Network> std::shared_ptr<Network> make_with_pool() {
    return {new Network, [](Network *owned) {
                const autorelease_scope scope;
                delete owned;
            }};
}

/// Return the precision of each value's image. Statistics, and operations that only move them, are never
/// rounded, so they stay floats. Other values have the precision of the layer that computes them.
std::vector<Precision> image_precisions(const Graph &graph, Precision precision) {
    std::vector<Precision> result(graph.inputs().size(), precision);
    for (const Node &node : graph.nodes()) {
        bool keeps = node.keep_float32 || node.operation.is<ops::BatchStatistics>();
        if (!ops::info_of(node.operation).rounds)
            for (ValueId value : node.inputs)
                keeps = keeps || result[static_cast<std::size_t>(value)] == Precision::float32;
        result.push_back(keeps ? Precision::float32 : precision);
    }
    return result;
}

std::size_t weight_bytes_of(const LayerSource &source) {
    std::size_t bytes = 0;
    for (const auto &[role, tensor] : source.node.weights) {
        const bool half = source.precision == Precision::float16 && role == "weight";
        if (role == "weight" && keeps_bytes(source))
            bytes += tensor.bytes() + tensor.ranges().size() * sizeof(engine::WeightRange);
        else
            bytes += static_cast<std::size_t>(tensor.elements()) * (half ? 2 : 4);
    }
    return bytes;
}

} // namespace

LoweredLayer lower_node(const Graph &graph, std::size_t index, Precision precision, engine::Sums sums,
                        const Choice &choice, Device &device) {
    const Node &node = graph.nodes()[index];
    LoweredLayer lowered;
    lowered.name = node.name;
    lowered.inputs = node.inputs;
    for (ValueId value : node.inputs) lowered.sources.push_back(image_of(graph, value));
    lowered.result = graph.result_of(index);
    const LayerSource source{graph, node, precision, sums, choice};
    lowered.layer = node.operation.visit([&]<class Op>(const Op &operation) -> std::unique_ptr<Layer> {
        if constexpr (std::is_same_v<Op, ops::Custom>)
            fail(ErrorKind::state, "the Metal engine runs between functions of the program, not these");
        else
            return make_layer(operation, source, device);
    });
    lowered.weight_bytes = weight_bytes_of(source);
    return lowered;
}

std::shared_ptr<const LoweredNetwork>
lower_network(const Graph &graph, const engine::LowerOptions &options, std::shared_ptr<Device> device,
              std::shared_ptr<const engine::Implementations> implementations) {
    const Precision precision = options.precision;
    device->require_usable();
    const autorelease_scope pool;
    const std::shared_ptr<LoweredNetwork> network = make_with_pool<LoweredNetwork>();
    network->device = std::move(device);
    network->implementations = std::move(implementations);
    network->graph = graph.without_weights();
    network->precisions = image_precisions(graph, precision);
    for (std::size_t i = 0; i < graph.nodes().size(); ++i) {
        const Choice choice(network->implementations, graph.nodes()[i], Choice::Scope::images);
        // Skip a reshape that only renames the image of another value. It has a name of its own, so that a
        // wrong result refuses this, and not the device.
        if (image_of(graph, graph.result_of(i)) != graph.result_of(i)) {
            choice.take("another name");
            continue;
        }
        const bool keeps = graph.nodes()[i].keep_float32;
        network->layers.push_back(lower_node(graph, i, keeps ? Precision::float32 : precision,
                                             keeps ? engine::Sums::float32 : options.sums, choice,
                                             *network->device));
        network->weight_bytes += network->layers.back().weight_bytes;
    }
    return network;
}

using engine::Graph;
using engine::Node;
using engine::Precision;
using engine::ValueId;

namespace {

bool is_for_training(const ops::Operation &operation) { return ops::info_of(operation).for_training; }

/// Return whether each value's array holds halves. In float16 precision, values between layers are rounded to
/// half. Gradients, statistics, losses, weights, inputs and outputs are floats.
std::vector<bool> arrays_of_halves(const Graph &graph, Precision precision) {
    std::vector<bool> result(static_cast<std::size_t>(graph.values()), false);
    if (precision != Precision::float16) return result;
    std::vector<bool> output(result);
    for (ValueId value : graph.outputs()) output[static_cast<std::size_t>(array_of(graph, value))] = true;
    const auto is_half = [&](ValueId value) {
        return graph.is_input(value) || result[static_cast<std::size_t>(value)];
    };
    for (std::size_t i = 0; i < graph.nodes().size(); ++i) {
        const Node &node = graph.nodes()[i];
        const ValueId value = graph.result_of(i), array = array_of(graph, value);
        const auto index = static_cast<std::size_t>(value);
        if (array != value) {
            result[index] = result[static_cast<std::size_t>(array)];
            continue;
        }
        const bool is_layer = !is_for_training(node.operation) || node.operation.is<ops::StepDropout>();
        result[index] = is_layer && !node.keep_float32 && !output[index] && counts_images(graph, value) &&
                        std::all_of(node.inputs.begin(), node.inputs.end(), [&](ValueId input) {
                            return !counts_images(graph, input) || is_half(input);
                        });
    }
    return result;
}

bool has_array_program(const Node &node) {
    return node.operation.visit([&]<class Op>(const Op &) {
        // Layers for inference with constant weights run on images, with MPS.
        return HasArrayProgram<Op> &&
               (Op::info.for_training || Op::info.joins_images || !node.variables.empty());
    });
}

} // namespace

bool needs_arrays(const Graph &graph) {
    return std::any_of(graph.inputs().begin(), graph.inputs().end(),
                       [](const engine::Input &input) { return input.is_variable; }) ||
           std::any_of(graph.nodes().begin(), graph.nodes().end(),
                       [](const Node &node) { return is_for_training(node.operation); });
}

bool counts_images(const Graph &graph, ValueId value) { return graph.shape(value)[0] == Shape::any; }

ValueId array_of(const Graph &graph, ValueId value) {
    while (!graph.is_input(value) && graph.producer(value).operation.is<ops::Reshape>())
        value = graph.producer(value).inputs[0];
    return value;
}

ArrayProgram array_program(const ops::Operation &operation, const ArrayOperands &operands,
                           const Device &device, const Choice &choice) {
    ArrayProgram program(operands, choice, multiplies_matrices(device.get()));
    operation.visit([&]<class Op>(const Op &op) {
        if constexpr (HasArrayProgram<Op>)
            make_program(program, op);
        else
            fail(ErrorKind::state, {Op::info.name, ": the Metal engine has no kernel for it on arrays"});
    });
    return program;
}

std::shared_ptr<const ArrayNetwork>
lower_arrays(const Graph &graph, const engine::LowerOptions &options, std::shared_ptr<Device> device,
             std::shared_ptr<const engine::Implementations> implementations) {
    device->require_usable();
    const autorelease_scope pool;
    const std::shared_ptr<ArrayNetwork> network = make_with_pool<ArrayNetwork>();
    network->device = std::move(device);
    network->implementations = std::move(implementations);
    network->graph = graph.without_weights();
    network->halves = arrays_of_halves(graph, options.precision);
    network->own.resize(graph.nodes().size());
    network->merged.resize(graph.nodes().size(), false);
    engine::Sums sums = engine::Sums::float32;
    if (!needs_arrays(graph)) {
        network->scope = Choice::Scope::images;
        sums = options.sums;
        network->own = own_layers(graph, options.precision, network->halves, *network->device,
                                  network->implementations, network->merged);
    }
    for (std::size_t i = 0; i < graph.nodes().size(); ++i) {
        const ValueId value = graph.result_of(i);
        network->layers.emplace_back();
        if (const auto &own = network->own[i])
            for (const ConstantArray &weight : own->weights) network->weight_bytes += weight.operand.bytes();
        if (array_of(graph, value) != value || network->own[i] || network->merged[i] ||
            has_array_program(graph.nodes()[i]))
            continue;
        const Precision own =
            network->halves[static_cast<std::size_t>(value)] ? Precision::float16 : Precision::float32;
        const Choice choice(network->implementations, graph.nodes()[i], network->scope);
        network->layers.back() = lower_node(graph, i, own, sums, choice, *network->device);
        network->weight_bytes += network->layers.back()->weight_bytes;
    }
    return network;
}

} // namespace mpscnn::metal
