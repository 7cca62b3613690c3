// Tests of gradients of weights after a batch normalization, whose result the CPU engine recomputes.

#include "tests/cpp/check.h"
#include "tests/engine/small_network.h"

using namespace small;

namespace {

struct Case {
    ops::Convolution convolution;
    Shape source;
    std::optional<ops::Neuron> activation;
    bool has_gamma = true, has_beta = true;
};

/// Return a network that computes the gradient of a convolution's weight. With `keeps_source`, it also
/// computes the gradient of the normalization, which needs the normalization's source anyway.
Network network_of(const Case &given, const Shape &result, bool keeps_source) {
    Network network;
    const auto image = [&](const Shape &shape) { return network.input(shape.with_batch(Shape::any)); };
    const auto variable = [&](const char *name, const Shape &shape) {
        return network.graph.add_variable(name, shape);
    };
    const std::int64_t channels = given.source.back();
    const ValueId source = image(given.source), gradient = image(result), of_normalized = image(given.source),
                  gamma = variable("gamma", {1, channels}), beta = variable("beta", {1, channels}),
                  sums = variable("sums", {1, 2, 1, channels});
    const ValueId statistics = network.add(ops::BatchStatistics{}, {source});
    const ValueId normalized = network.graph.add_node("normalized", ops::BatchNormalization{},
                                                      {source, statistics}, given.activation);
    if (given.has_gamma) network.graph.use_variable(normalized, "gamma", gamma);
    if (given.has_beta) network.graph.use_variable(normalized, "beta", beta);
    network.output(network.add(ops::ConvolutionWeightGradient{given.convolution}, {normalized, gradient}));
    if (keeps_source)
        network.output(
            network.add(ops::BatchNormalizationGradient{}, {of_normalized, source, statistics, sums}));
    return network;
}

std::vector<Shape> input_shapes(const Network &network, std::int64_t batch) {
    std::vector<Shape> shapes;
    for (const engine::Input &input : network.graph.inputs())
        shapes.push_back(input.is_variable ? input.shape : input.shape.with_batch(batch));
    return shapes;
}

bool computes_anew(const Network &network, std::int64_t batch) {
    const auto lowered = cpu::make_cpu_backend()->lower(network.graph, {});
    const auto plan = lowered->plan(input_shapes(network, batch));
    for (const cpu::Step &step : cpu::own_plan(*plan).steps())
        if (const auto *task = step.task.get_if<cpu::WeightGradientTask>())
            return task->normalization.applies;
    return false;
}

void require_same_bits(const Case &given) {
    const std::int64_t batch = given.source[0];
    Network forward;
    const ValueId value =
        forward.add(given.convolution, {forward.input(given.source.with_batch(Shape::any))});
    const Shape result = forward.graph.shape(value);
    const Network anew = network_of(given, result, true), kept = network_of(given, result, false);
    CHECK(computes_anew(anew, batch));
    CHECK(!computes_anew(kept, batch));
    Arrays inputs;
    for (const Shape &shape : input_shapes(anew, batch))
        inputs.push_back(random_array(shape, static_cast<std::uint32_t>(inputs.size() + 1)));
    for (const cpu::KernelTable *table : cpu::available_kernels())
        for (const int threads : {1, 3}) {
            const auto backend = cpu::make_cpu_backend(table->name);
            const Arrays first = run(*backend, anew.graph, inputs, Precision::float32, threads),
                         second = run(*backend, kept.graph, inputs, Precision::float32, threads);
            CHECK(first[0].values == second[0].values);
            CHECK(std::isfinite(first[0].values[0]));
        }
}

} // namespace

TEST(pointwise_convolutions_read_the_normalization_anew) {
    for (const std::int64_t channels : {3, 16, 37, 600}) // more than one block of taps
        require_same_bits({convolution(24, window(1)), {2, 9, 7, channels}, relu6});
    require_same_bits({convolution(24, window(1, 2)), {2, 9, 7, 20}, relu6});
}

TEST(windows_have_zeros_around_what_is_normalized) {
    for (const std::int64_t groups : {1, 2})
        for (const std::int64_t stride : {1, 2})
            for (const std::int64_t dilation : {1, 2})
                require_same_bits(
                    {convolution(8, window(3, stride, ops::PaddingPolicy::same, dilation), groups),
                     {3, 11, 10, 6},
                     relu});
}

TEST(depthwise_convolutions_read_rows_anew) {
    for (const std::int64_t kernel : {2, 3, 5})
        for (const std::int64_t stride : {1, 2})
            require_same_bits({convolution(40, window(kernel, stride), 40), {2, 20, 17, 40}, relu6});
    require_same_bits(
        {convolution(40, window(3, 1, ops::PaddingPolicy::same, 2), 40), {2, 20, 17, 40}, relu6});
    // Rows that do not all stay in L2.
    require_same_bits({convolution(96, window(3), 96), {2, 64, 60, 96}, relu6});
}

TEST(normalizations_with_less_than_all_parts) {
    Case given{convolution(8, window(3)), {2, 8, 8, 12}, std::nullopt};
    require_same_bits(given);
    given.has_gamma = false;
    require_same_bits(given);
    given.has_beta = false;
    require_same_bits(given);
    given.has_gamma = true;
    require_same_bits(given);
}

TEST(other_activations_are_kept) {
    const ops::Neuron elu{ops::NeuronKind::elu, 1.0f, 0.0f};
    const Network network = network_of({convolution(8, window(3)), {2, 8, 8, 12}, elu}, {2, 8, 8, 8}, true);
    CHECK(!computes_anew(network, 2));
}
