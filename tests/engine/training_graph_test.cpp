// Test that a training step computes exactly the gradients that are needed.

#include "engine/train/training_graph.h"

#include <map>
#include <set>
#include <string>
#include <vector>

#include "tests/cpp/check.h"
#include "tests/engine/small_network.h"

using namespace small;

namespace {

/// A network of three convolutions in sequence, a head, and a layer that no output depends on.
engine::Graph network() {
    engine::Graph graph("network");
    ValueId x = graph.add_input("image", {Shape::any, 8, 8, 4});
    const auto add = [&](const std::string &name, ValueId input) {
        ops::Convolution convolution;
        convolution.output_channels = 4;
        convolution.window.kernel_height = convolution.window.kernel_width = 3;
        const ValueId value =
            graph.add_node(name, convolution, {input}, ops::Neuron{.kind = ops::NeuronKind::relu});
        graph.set_weight(name, "weight",
                         engine::WeightTensor::from_floats({4, 3, 3, 4}, std::vector<float>(144, 0.1f)));
        graph.set_weight(name, "bias", engine::WeightTensor::from_floats({4}, std::vector<float>(4, 0.1f)));
        return value;
    };
    for (const char *name : {"conv1", "conv2", "conv3"}) x = add(name, x);
    add("beside", graph.find("conv1"));
    graph.mark_output(x);
    return graph;
}

/// Return the names of the operations in a step, with repetitions.
std::multiset<std::string> operations(const engine::TrainingGraph &training) {
    std::multiset<std::string> names;
    for (const engine::Node &node : training.graph.nodes()) names.insert(ops::info_of(node.operation).name);
    return names;
}

engine::TrainingGraph training_graph(std::vector<std::string> frozen, std::int64_t accumulate = 1) {
    engine::TrainingOptions options;
    options.optimizer.kind = engine::OptimizerKind::sgd;
    options.frozen = std::move(frozen);
    options.accumulate = accumulate;
    return engine::make_training_graph(network(), options);
}

/// The numbers of gradients of convolutions' inputs, of convolutions' weights, and of activations.
struct Counts {
    std::size_t inputs, weights, activations;
    friend bool operator==(const Counts &, const Counts &) = default;
};

Counts counts(const engine::TrainingGraph &training) {
    const std::multiset<std::string> names = operations(training);
    return {names.count("convolution_data_gradient"), names.count("convolution_weight_gradient"),
            names.count("neuron_gradient")};
}

} // namespace

TEST(the_gradient_of_the_input_is_not_computed) { CHECK((counts(training_graph({})) == Counts{2, 3, 3})); }

TEST(nothing_before_the_first_layer_that_learns_has_gradients) {
    CHECK((counts(training_graph({"conv1"})) == Counts{1, 2, 2}));
    CHECK((counts(training_graph({"conv1", "conv2"})) == Counts{0, 1, 1}));
}

TEST(gradients_pass_a_frozen_layer_without_its_own) {
    CHECK((counts(training_graph({"conv2"})) == Counts{2, 2, 3}));
    CHECK((counts(training_graph({"conv3"})) == Counts{2, 2, 3}));
}

TEST(frozen_weights_in_front_are_constants) {
    const engine::TrainingGraph first = training_graph({"conv1"}), second = training_graph({"conv2"});
    CHECK(first.variables.size() == 4);
    for (const engine::TrainingVariable &variable : first.variables) CHECK(variable.layer != "conv1");
    std::set<std::string> kept;
    for (const engine::TrainingVariable &variable : second.variables)
        if (!variable.changes()) kept.insert(variable.name);
    CHECK((kept == std::set<std::string>{"conv2.bias", "conv2.weight"}));
}

TEST(layers_that_lead_to_no_output_are_left_out) {
    const engine::TrainingGraph training = training_graph({});
    CHECK(!training.graph.nodes().empty());
    for (const engine::Node &node : training.graph.nodes())
        CHECK(node.name.find("beside") == std::string::npos);
}

TEST(added_gradients_have_an_update_of_their_own) {
    const engine::TrainingGraph training = training_graph({"conv1"}, 4);
    CHECK(training.update.has_value());
    CHECK((counts(training) == Counts{1, 2, 2}));
    CHECK(operations(training).count("sgd_update") == 0);
    std::size_t updates = 0;
    for (const engine::Node &node : training.update->nodes())
        updates += std::string(ops::info_of(node.operation).name) == "sgd_update";
    CHECK(updates == 4);
}
