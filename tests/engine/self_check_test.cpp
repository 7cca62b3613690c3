// Tests of the coverage of the self-check, and that it notices a wrong result of each of its layers.

#include "engine/trust/self_check.h"

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstdio>
#include <map>
#include <set>
#include <string>
#include <type_traits>
#include <vector>

#include "core/text.h"
#include "cpu/isa/kernels.h"
#include "cpu/runtime/cpu_backend.h"
#include "engine/trust/case_check.h"
#include "ops/op_list.h"
#include "tests/cpp/check.h"
#include "tests/engine/spoiled_backend.h"

using namespace mpscnn;
using engine::Graph;

namespace {

std::size_t count_of_operations() {
    const Json operations = ops::describe_operations();
    return operations.get_if<Json::Array>()->size();
}

} // namespace

TEST(every_operation_is_covered_in_all_its_kinds) {
    std::set<std::size_t> operations;
    std::set<ops::NeuronKind> neurons;
    std::set<ops::PoolingKind> poolings;
    for (const Graph &graph : engine::self_check_networks()) {
        const engine::Node &node = graph.nodes().back();
        operations.insert(node.operation.index());
        if (node.activation) neurons.insert(node.activation->kind);
        if (const auto *neuron = node.operation.get_if<ops::Neuron>()) neurons.insert(neuron->kind);
        if (const auto *pooling = node.operation.get_if<ops::Pooling>()) poolings.insert(pooling->kind);
    }
    CHECK(operations.size() == count_of_operations());
    CHECK(neurons.size() == ops::EnumNames<ops::NeuronKind>::values.size() - 1); // all except "none"
    CHECK(poolings.size() == ops::EnumNames<ops::PoolingKind>::values.size());
}

namespace {

/// Return a common name for operations that a device may compute by one kernel, which has all their
/// parameters.
std::string family_of(const ops::Operation &operation) {
    return operation.visit([](const auto &op) -> std::string {
        return std::derived_from<std::decay_t<decltype(op)>, ops::Arithmetic> ? "arithmetic" : op.info.name;
    });
}

/// Return the values of each parameter in the self-check's networks, as JSON, by operation and parameter.
std::map<std::string, std::set<std::string>> checked_values() {
    std::map<std::string, std::set<std::string>> values;
    for (const Graph &graph : engine::self_check_networks())
        for (const engine::Node &node : graph.nodes()) {
            const Json attributes = ops::attributes_of(node.operation);
            for (const auto &[name, value] : *attributes.get_if<Json::Object>())
                values[family_of(node.operation) + "." + name].insert(to_text(value));
        }
    return values;
}

/// Return true if all values have at most 4 channels, so that a device may hold them as plain textures. Its
/// kernels access these differently from texture arrays.
bool is_of_one_slice(const Graph &graph) {
    for (engine::ValueId value = 0; value < graph.values(); ++value)
        if (graph.shape(value).back() > 4) return false;
    return true;
}

} // namespace

TEST(every_parameter_takes_every_name_or_another_number_than_its_default) {
    // These operations do not support these values.
    const std::set<std::string> none{"resize.edge \"exclude\"", "spatial_normalization.edge \"exclude\"",
                                     "local_contrast_normalization.edge \"exclude\""};
    const auto checked = checked_values();
    const Json operations = ops::describe_operations();
    std::set<std::string> missing;
    for (const Json &operation : *operations.get_if<Json::Array>()) {
        const auto name = operation.at("name").get<std::string>();
        if (name == ops::Neuron::info.name) continue; // attached to layers, see above
        if (operation.at("training").get<bool>()) continue;
        const std::string family = family_of(ops::make_operation(name, Json::object()));
        for (const Json &parameter : *operation.at("parameters").get_if<Json::Array>()) {
            const std::string key = family + "." + parameter.at("name").get<std::string>();
            const std::set<std::string> &values = checked.at(key);
            if (const Json *names = parameter.find("allowed")) {
                // The gates of recurrent layers are neurons, which are checked as layers.
                if (family == "lstm" || family == "gru") continue;
                for (const Json &allowed : *names->get_if<Json::Array>())
                    if (!values.contains(to_text(allowed))) missing.insert(key + " " + to_text(allowed));
            } else if (values.size() == 1 && values.contains(to_text(parameter.at("default")))) {
                missing.insert(key);
            }
        }
    }
    for (const std::string &value : none) missing.erase(value);
    for (const std::string &value : missing) std::fprintf(stderr, "not checked: %s\n", value.c_str());
    CHECK(missing.empty());
}

TEST(all_instruction_sets_agree_on_every_layer) {
    const auto tables = cpu::available_kernels();
    const auto reference = cpu::make_cpu_backend(tables.front()->name);
    for (const cpu::KernelTable *table : tables)
        for (const Graph &graph : engine::self_check_networks()) {
            if (engine::is_real(graph)) continue;
            const auto wrong =
                engine::find_wrong_answer(*cpu::make_cpu_backend(table->name), *reference, graph);
            if (wrong) std::printf("%s: %s\n", table->name, wrong->c_str());
            CHECK(!wrong);
        }
}

TEST(small_networks_run_with_one_image_with_two_and_with_nine) {
    std::set<std::vector<std::int64_t>> found;
    for (const Graph &graph : engine::self_check_networks()) {
        std::int64_t elements = 0;
        for (const engine::Input &input : graph.inputs())
            if (!input.is_variable) elements += input.shape.with_batch(1).elements();
        const std::vector<std::int64_t> images = engine::self_check_images(graph);
        const bool has_nine = std::find(images.begin(), images.end(), 9) != images.end();
        CHECK(has_nine == (elements > 0 && elements <= 4096 && !engine::is_real(graph)));
        const bool has_two = std::find(images.begin(), images.end(), 2) != images.end();
        CHECK(has_two != engine::is_real(graph));
        found.insert(images);
    }
    CHECK(found == std::set<std::vector<std::int64_t>>{{2, 1, 9}, {2, 1}, {1}, {2}});
}

TEST(an_answer_that_is_wrong_for_one_number_of_images_is_found) {
    const auto cpu = cpu::make_cpu_backend();
    for (const std::int64_t images : {1, 2, 9}) {
        const SpoiledBackend spoiled("self-check: convolution", 0.5f, images);
        for (const Graph &graph : engine::self_check_networks())
            if (graph.name() == "self-check: convolution")
                CHECK(engine::find_wrong_answer(spoiled, *cpu, graph)
                          ->starts_with(concat({"convolution in float32 with ", images, " image"})));
    }
}

TEST(an_answer_that_is_wrong_at_a_real_size_is_found) {
    const auto cpu = cpu::make_cpu_backend();
    int count = 0;
    for (const Graph &graph : engine::self_check_networks()) {
        if (!engine::is_real(graph)) continue;
        ++count;
        CHECK(engine::find_wrong_answer(SpoiledBackend(graph.name(), 0.03f, 1), *cpu, graph));
    }
    CHECK(count == 11); // eight layers, three of them for own kernels, too
}

TEST(every_operation_is_checked_on_images_of_one_slice_and_of_several) {
    std::set<std::string> plain, sliced;
    for (const Graph &graph : engine::self_check_networks()) {
        const bool on_images = !graph.inputs().at(0).is_variable; // tensors of training are arrays
        if (on_images)
            (is_of_one_slice(graph) ? plain : sliced).insert(family_of(graph.nodes().back().operation));
    }
    for (const std::string &family : sliced)
        if (!plain.contains(family)) std::fprintf(stderr, "no image of one slice: %s\n", family.c_str());
    CHECK(plain == sliced);
}

TEST(a_right_backend_passes) {
    const auto cpu = cpu::make_cpu_backend();
    const engine::Verdict verdict = engine::judge_here(*cpu, *cpu);
    CHECK(verdict.refused.empty() && verdict.implementations.empty());
}

TEST(a_layer_that_is_wrong_in_one_number_is_found) {
    const auto cpu = cpu::make_cpu_backend();
    for (const Graph &graph : engine::self_check_networks()) {
        const std::string layer = graph.nodes().back().name;
        // An error of 3 % of the largest result is as small as that of one wrong tap in a large window.
        const auto wrong = engine::find_wrong_answer(SpoiledBackend(graph.name(), 0.03f), *cpu, graph);
        CHECK(wrong && wrong->starts_with(layer + " in float32"));
        CHECK(wrong && wrong->find("(1 of ") != wrong->npos);
    }
}

TEST(nan_and_infinities_are_wrong_answers) {
    const auto cpu = cpu::make_cpu_backend();
    for (const float number : {std::nanf(""), HUGE_VALF})
        CHECK(!engine::judge_here(SpoiledBackend("self-check: softmax", number), *cpu).refused.empty());
}
