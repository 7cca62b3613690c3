// libFuzzer target for graphs. README.md in this folder describes how to run it.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "core/error.h"
#include "cpu/runtime/cpu_backend.h"
#include "engine/run/program.h"
#include "tests/fuzz/choices.h"
#include "tests/fuzz/time_budget.h"

using namespace mpscnn;
using engine::Graph;

namespace {

/// Return attributes for an operation: any of its parameters, as the table of operations describes them.
Json attributes_of(const Json &operation, Choices &choices) {
    Json attributes = Json::object();
    for (const Json &parameter : JsonView(operation.at("parameters")).array()) {
        if (choices.below(2) == 0) continue;
        const auto name = parameter.at("name").get<std::string>();
        const auto type = parameter.at("type").get<std::string>();
        if (type == "integer")
            attributes.set(name, choices.number());
        else if (type == "integers" || type == "numbers")
            attributes.set(name, std::vector<std::int64_t>{choices.number(), choices.number()});
        else if (type == "boolean")
            attributes.set(name, choices.below(2) != 0);
        else if (type == "number")
            attributes.set(name, static_cast<double>(choices.number()));
        else {
            const auto &names = JsonView(parameter.at("allowed")).array();
            attributes.set(name, names[choices.below(names.size())]);
        }
    }
    return attributes;
}

Shape shape_from(Choices &choices) {
    static constexpr std::int64_t extents[] = {1, 2, 5, 33, 1 << 24, Shape::any};
    Shape shape{Shape::any, extents[choices.below(6)], extents[choices.below(6)], extents[choices.below(5)]};
    return choices.below(4) == 0 ? Shape{Shape::any, shape.back()} : shape;
}

void add_layers(Graph &graph, Choices &choices) {
    static const Json operations = ops::describe_operations();
    const auto &list = JsonView(operations).array();
    while (!choices.empty()) {
        const Json &operation = list[choices.below(list.size())];
        std::vector<engine::ValueId> inputs;
        const auto fewest = operation.at("min_inputs").get<std::size_t>();
        for (std::size_t i = 0; i < fewest + choices.below(2); ++i)
            inputs.push_back(graph.values() - 1 -
                             static_cast<int>(choices.below(static_cast<std::size_t>(graph.values()))));
        try {
            const std::string name = "layer " + std::to_string(graph.values());
            const auto kind = operation.at("name").get<std::string>();
            graph.add_node(name, ops::make_operation(kind, attributes_of(operation, choices)), inputs);
        } catch (const Error &) { // a layer that is refused is left out
        }
    }
}

/// Compute shapes and costs, and compile and plan the network, if it needs no weights.
void examine(const Graph &graph, std::int64_t batch) {
    Shape input = graph.inputs()[0].shape.with_batch(batch);
    for (int axis = 1; axis < input.rank(); ++axis)
        if (input[axis] == Shape::any) input[axis] = 9;
    for (const engine::LayerSummary &layer : graph.summary({input}))
        if (layer.cost.flops < 0 || layer.cost.macs < 0 || layer.parameters < 0) std::abort();
    engine::CompileOptions options;
    // Tables of kernels count, too. Their numbers are computed here, such as up to 14 sines for a column of a
    // resize.
    options.max_memory = 16 << 20;
    const auto program = engine::Program::compile(graph, options);
    const auto planned = program->plan_for({input});
    program->lowered().executor({.threads = 2})->prepare(*planned->plan);
}

} // namespace

/// Check that graphs of any operations with any parameters are accepted or refused by an exception, without
/// overflows, and in a short time.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
    const TimeBudget budget(size);
    Choices choices(data, size);
    try {
        Graph graph("fuzz");
        graph.add_input("image", shape_from(choices));
        const std::int64_t batch = 1 + static_cast<std::int64_t>(choices.below(3));
        add_layers(graph, choices);
        graph.mark_output(graph.values() - 1);
        examine(graph, batch);
    } catch (const Error &) { // refused
    }
    return 0;
}
