// Programs that share packed weights, and those that must not.

#include "cpu/shared_networks.h"

#include <cstring>

#include "engine/passes.h"
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

/// A convolution whose weights lie in memory of their own; `last` is the last of them.
Made made(float last = 0.5f, float limit = 6.0f) {
    Network network;
    const ValueId input = network.input({-1, 4, 4, 3});
    const auto neuron = ops::Neuron{.kind = ops::NeuronKind::relun, .a = 0.0f, .b = limit};
    const ValueId convolved = network.add(convolution(8, window(3)), {input}, neuron);
    network.output(convolved);
    std::vector<float> weights(8 * 27, 0.25f);
    weights.back() = last;
    network.graph.set_weight(network.graph.value_name(convolved), "weight",
                             engine::WeightTensor::from_floats({8, 3, 3, 3}, weights));
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
