// Tests of programs that share packed weights, and of programs that must not share them.

#include "cpu/plan/shared_networks.h"

#include <cstring>

#include "engine/graph/passes.h"
#include "tests/cpp/check.h"
#include "tests/engine/small_network.h"

using namespace small;
using cpu::shared_network;

namespace {

struct Made {
    engine::Graph graph;
    std::shared_ptr<const cpu::LoweredNetwork> network() const {
        return shared_network(graph, {Precision::float32}, cpu::kernels());
    }
};

/// Return a convolution with separately allocated weights, the last of which is `last`.
Made made(float last = 0.5f, float limit = 6.0f) {
    constexpr std::int64_t outputs = 256; // so many that weights are not copied
    Network network;
    const ValueId input = network.input({-1, 4, 4, 3});
    const auto neuron = ops::Neuron{.kind = ops::NeuronKind::relun, .a = 0.0f, .b = limit};
    const ValueId convolved = network.add(convolution(outputs, window(3)), {input}, neuron);
    network.output(convolved);
    std::vector<float> weights(static_cast<std::size_t>(outputs * 27), 0.25f);
    weights.back() = last;
    network.graph.set_weight(network.graph.value_name(convolved), "weight",
                             engine::WeightTensor::from_floats({outputs, 3, 3, 3}, weights));
    return {network.graph};
}

} // namespace

TEST(one_graph_is_packed_once) {
    const Made model = made();
    const auto first = model.network();
    CHECK(first == model.network());
    CHECK(first == shared_network(model.graph, {Precision::float32}, cpu::kernels()));
}

TEST(equal_weights_in_other_memory_are_packed_once) {
    const Made model = made(), again = made();
    const auto first = model.network();
    CHECK(first == again.network());
}

TEST(folded_batch_normalizations_are_packed_once) {
    const auto normalized = [](float mean) {
        Network network;
        const ValueId input = network.input({-1, 4, 4, 3});
        const ValueId convolved = network.add(convolution(8, window(3)), {input});
        const ValueId normal = network.add(ops::BatchNormalization{}, {convolved});
        network.output(normal);
        const auto set = [&](ValueId value, const char *role, const Shape &shape, float number) {
            const std::vector<float> values(static_cast<std::size_t>(shape.elements()), number);
            network.graph.set_weight(network.graph.value_name(value), role,
                                     engine::WeightTensor::from_floats(shape, values));
        };
        set(convolved, "weight", {8, 3, 3, 3}, 0.25f);
        set(normal, "mean", {8}, mean);
        set(normal, "variance", {8}, 2.0f);
        return network.graph;
    };
    const auto packed = [](const engine::Graph &graph) {
        return shared_network(engine::canonicalise(graph).graph, {Precision::float32}, cpu::kernels());
    };
    const engine::Graph graph = normalized(0.5f), again = normalized(0.5f), other = normalized(0.75f);
    const auto first = packed(graph);
    CHECK(first == packed(graph) && first == packed(again));
    CHECK(first != packed(other));
}

TEST(what_differs_is_packed_for_itself) {
    const Made model = made(), other_weight = made(0.75f), other_limit = made(0.5f, 5.9999995f);
    const auto first = model.network();
    const auto second = other_weight.network(), third = other_limit.network();
    CHECK(first != second && first != third && second != third);
    CHECK(first != shared_network(model.graph, {Precision::float16}, cpu::kernels()));
    CHECK(first == model.network());
}

TEST(nothing_is_kept_for_those_who_may_come) {
    const Made model = made();
    std::weak_ptr<const cpu::LoweredNetwork> network = model.network();
    CHECK(network.expired());
}

TEST(a_network_whose_weights_are_gone_is_not_taken_for_another) {
    std::shared_ptr<const cpu::LoweredNetwork> first;
    {
        const Made model = made();
        first = model.network();
    }
    CHECK(first != made().network());
}
