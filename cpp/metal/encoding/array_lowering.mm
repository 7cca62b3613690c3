#include "metal/encoding/array_lowering.h"

#include <algorithm>
#include <variant>

#include "metal/arrays/array_operations.h"

namespace mpscnn::metal {

using engine::Graph;
using engine::Node;
using engine::Precision;
using engine::ValueId;

namespace {

bool is_for_training(const ops::Operation &operation) { return ops::info_of(operation).for_training; }

/// In float16 precision what layers hand to each other is rounded to half. Gradients, statistics, losses,
/// weights, inputs and outputs are floats.
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
        const bool is_layer =
            !is_for_training(node.operation) || std::holds_alternative<ops::StepDropout>(node.operation);
        result[index] = is_layer && !node.keep_float32 && !output[index] && counts_images(graph, value) &&
                        std::all_of(node.inputs.begin(), node.inputs.end(), [&](ValueId input) {
                            return !counts_images(graph, input) || is_half(input);
                        });
    }
    return result;
}

bool has_array_program(const Node &node) {
    return std::visit(
        [&]<class Op>(const Op &) {
            // Layers whose weights are their own run on images, where MPS computes them.
            return HasArrayProgram<Op> &&
                   (Op::info.for_training || Op::info.joins_images || !node.variables.empty());
        },
        node.operation);
}

} // namespace

bool runs_on_arrays(const Graph &graph) {
    return std::any_of(graph.inputs().begin(), graph.inputs().end(),
                       [](const engine::Input &input) { return input.is_variable; }) ||
           std::any_of(graph.nodes().begin(), graph.nodes().end(),
                       [](const Node &node) { return is_for_training(node.operation); });
}

bool counts_images(const Graph &graph, ValueId value) { return graph.shape(value)[0] == Shape::any; }

ValueId array_of(const Graph &graph, ValueId value) {
    while (!graph.is_input(value) && std::holds_alternative<ops::Reshape>(graph.producer(value).operation))
        value = graph.producer(value).inputs[0];
    return value;
}

ArrayProgram array_program(const ops::Operation &operation, const ArrayOperands &operands) {
    ArrayProgram program(operands);
    std::visit(
        [&]<class Op>(const Op &op) {
            if constexpr (HasArrayProgram<Op>)
                make_program(program, op);
            else
                fail(ErrorKind::state, {Op::info.name, ": the Metal engine has no kernel for it on arrays"});
        },
        operation);
    return program;
}

std::shared_ptr<const ArrayNetwork> lower_arrays(const Graph &graph, Precision precision,
                                                 std::shared_ptr<Device> device) {
    device->require_usable();
    const autorelease_scope pool;
    const auto destroy = [](ArrayNetwork *owned) {
        const autorelease_scope scope;
        delete owned;
    };
    std::shared_ptr<ArrayNetwork> network(new ArrayNetwork, destroy);
    network->device = std::move(device);
    network->graph = graph.without_weights();
    network->halves = arrays_of_halves(graph, precision);
    for (std::size_t i = 0; i < graph.nodes().size(); ++i) {
        const ValueId value = graph.result_of(i);
        network->layers.emplace_back();
        if (array_of(graph, value) != value || has_array_program(graph.nodes()[i])) continue;
        const Precision own =
            network->halves[static_cast<std::size_t>(value)] ? Precision::float16 : Precision::float32;
        network->layers.back() = lower_node(graph, i, own, engine::Sums::float32, *network->device);
        network->weight_bytes += network->layers.back()->weight_bytes;
    }
    return network;
}

} // namespace mpscnn::metal
