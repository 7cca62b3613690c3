// Tests of which weights a program keeps in memory.

#include "engine/run/program.h"
#include "tests/cpp/check.h"
#include "tests/engine/small_network.h"

using namespace small;
using engine::Program;

namespace {

/// Set a layer's weight, and return a weak pointer to its memory.
std::weak_ptr<const std::byte> watched_weight(engine::Graph &graph, const std::string &layer,
                                              const Shape &shape) {
    const auto count = static_cast<std::size_t>(shape.elements());
    const std::shared_ptr<const std::byte> memory(new std::byte[count * sizeof(float)](),
                                                  [](const std::byte *bytes) { delete[] bytes; });
    graph.set_weight(layer, "weight", {shape, engine::WeightType::float32, memory});
    return memory;
}

} // namespace

TEST(a_program_keeps_packed_weights_only) {
    std::weak_ptr<const std::byte> convolution_weight, dense_weight;
    std::shared_ptr<Program> program;
    {
        Network network;
        const ValueId input = network.input({-1, 4, 4, 3});
        const ValueId convolved = network.add(convolution(8, window(3)), {input});
        const ValueId dense = network.add(ops::FullyConnected{5}, {convolved});
        network.output(dense);
        convolution_weight = watched_weight(network.graph, network.graph.value_name(convolved), {8, 3, 3, 3});
        dense_weight = watched_weight(network.graph, network.graph.value_name(dense), {5, 4, 4, 8});
        program = Program::compile(network.graph, {.device = "cpu", .precision = "float32"});
        CHECK(!convolution_weight.expired() && !dense_weight.expired());
    }
    CHECK(convolution_weight.expired() && dense_weight.expired());
    CHECK(program->lowered().weight_bytes() >= 4 * (8 * 27 + 5 * 128));
}
