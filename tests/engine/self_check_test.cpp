// What the self-check of devices covers, and that it notices a wrong answer of each of its layers.

#include "engine/self_check.h"

#include <cmath>
#include <set>
#include <string>
#include <variant>

#include "cpu/runtime/cpu_backend.h"
#include "ops/op_list.h"
#include "tests/cpp/check.h"
#include "tests/engine/spoiled_backend.h"

using namespace mpscnn;
using engine::Graph;

TEST(every_operation_is_covered_in_all_its_kinds) {
    std::set<std::size_t> operations;
    std::set<ops::NeuronKind> neurons;
    std::set<ops::PoolingKind> poolings;
    for (const Graph &graph : engine::self_check_networks()) {
        const engine::Node &node = graph.nodes().at(0);
        operations.insert(node.operation.index());
        if (node.activation) neurons.insert(node.activation->kind);
        if (const auto *neuron = std::get_if<ops::Neuron>(&node.operation)) neurons.insert(neuron->kind);
        if (const auto *pooling = std::get_if<ops::Pooling>(&node.operation)) poolings.insert(pooling->kind);
    }
    CHECK(operations.size() == std::variant_size_v<ops::Operation>);
    CHECK(neurons.size() == ops::EnumNames<ops::NeuronKind>::values.size() - 1); // all but none
    CHECK(poolings.size() == ops::EnumNames<ops::PoolingKind>::values.size());
}

TEST(a_right_backend_passes) {
    const auto cpu = cpu::make_cpu_backend();
    CHECK(!engine::find_wrong_answer(*cpu, *cpu));
}

TEST(a_layer_that_is_wrong_in_one_number_is_found) {
    const auto cpu = cpu::make_cpu_backend();
    for (const Graph &graph : engine::self_check_networks()) {
        const std::string layer = graph.nodes().at(0).name;
        // 3 % of the largest result: no more than a wrong tap of a large window does.
        const auto wrong = engine::find_wrong_answer(SpoiledBackend(graph.name(), 0.03f), *cpu, graph);
        CHECK(wrong && wrong->starts_with(layer + " in float32: result"));
        CHECK(wrong && wrong->find("(1 of ") != wrong->npos);
    }
}

TEST(nan_and_infinities_are_wrong_answers) {
    const auto cpu = cpu::make_cpu_backend();
    for (const float number : {std::nanf(""), HUGE_VALF})
        CHECK(engine::find_wrong_answer(SpoiledBackend("self-check: softmax", number), *cpu).has_value());
}
