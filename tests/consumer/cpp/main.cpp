// A C++ program over mpscnn.hpp: builds a network, runs it, meets its errors.

#include <cstdint>
#include <cstdio>
#include <string>
#include <type_traits>
#include <vector>

#include <mpscnn/mpscnn.hpp>

namespace {

int failures = 0;

void expect(bool holds, const char *what) {
    if (holds) return;
    ++failures;
    std::printf("failed: %s\n", what);
}

template <class Expected, class Action> void expect_thrown(Action action, const char *part) {
    try {
        action();
        expect(false, part);
    } catch (const Expected &error) {
        expect(std::string(error.what()).find(part) != std::string::npos, error.what());
    }
}

/// (n, 4, 4, 2) -> a dense layer of the sum of both channels and of their difference.
mpscnn::Graph sums() {
    auto graph = mpscnn::Graph::create("sums");
    const mpscnn::Shape image{-1, 4, 4, 2}, weight_shape{2, 4, 4, 2};
    const std::vector<mpscnn::Value> input{graph.add_input("image", image)};
    graph.mark_output(graph.add_node("fully_connected", "dense", input, R"({"outputs": 2})"));
    std::vector<float> weight(64, 1.0f);
    for (std::size_t i = 33; i < weight.size(); i += 2) weight[i] = -1.0f;
    graph.set_weight("dense", "weight", mpscnn::tensor(weight.data(), weight_shape));
    return graph;
}

void run() {
    const auto graph = sums();
    expect(graph.shape(1) == mpscnn::Shape{-1, 2}, "shape of the result");
    expect(graph.weight("dense", "weight").tensor.rank == 4, "rank of the weight");
    const auto program = graph.compile({.device = "cpu"});
    expect(program.inputs().at(0).name == "image", "name of the input");
    auto session = program.session({.threads = 1});
    std::vector<float> input(3 * 32), output(3 * 2);
    for (std::size_t i = 0; i < input.size(); ++i) input[i] = i % 2 == 0 ? 2.0f : 1.0f;
    session.run(input, output);
    expect(output == std::vector<float>{48, 16, 48, 16, 48, 16}, "sums");
    const std::vector<mpscnn::Shape> shapes{{7, 4, 4, 2}};
    expect(program.plan(shapes).outputs.at(0) == mpscnn::Shape{7, 2}, "planned shape");

    std::vector<std::uint16_t> halves(32);
    mpscnn::halves_from_floats(std::span(input).first(32), halves);
    const mpscnn::Shape image{1, 4, 4, 2}, result{1, 2};
    const std::vector<mpscnn_tensor> sources{mpscnn::half_tensor(halves.data(), image)},
        destinations{mpscnn::tensor(output.data(), result)};
    output.assign(output.size(), 0.0f);
    session.run(sources, destinations);
    expect(output[0] == 48.0f && output[2] == 0.0f, "half input");
}

void refuse() {
    const auto graph = sums();
    auto session = graph.compile().session();
    std::vector<float> input(31), output(2);
    expect_thrown<mpscnn::ShapeError>([&] { session.run(input, output); }, "'image'");
    expect_thrown<mpscnn::DeviceError>([&] { (void)graph.compile({.device = "metal"}); }, "cpu");
    expect_thrown<mpscnn::ParameterError>([&] { (void)graph.compile({.device = "abacus"}); }, "abacus");
    expect_thrown<mpscnn::WeightsError>([] { (void)mpscnn::Model::load("no such file"); }, "no such file");
    expect_thrown<mpscnn::Error>([] { (void)mpscnn::Graph::from_json("{"); }, "");
}

} // namespace

int main() {
    static_assert(!std::is_copy_constructible_v<mpscnn::Session>);
    static_assert(std::is_nothrow_move_constructible_v<mpscnn::Program>);
    run();
    refuse();
    if (failures == 0) std::printf("mpscnn %s works\n", mpscnn::version().c_str());
    return failures == 0 ? 0 : 1;
}
