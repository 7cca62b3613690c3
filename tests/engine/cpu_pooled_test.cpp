// Tests of convolutions that are fused with the pooling of their result.

#include <algorithm>
#include <cstdlib>
#include <limits>

#include "tests/cpp/check.h"
#include "tests/engine/small_network.h"

using namespace small;
using ops::EdgeRule;
using ops::PaddingPolicy;
using ops::PoolingKind;

namespace {

constexpr std::int64_t any = Shape::any;

/// While it exists, convolutions are fused with poolings whenever possible, whatever the cost model says.
struct Forced {
    Forced() { setenv("MPSCNN_FUSION", "rows=4", 1); }
    ~Forced() { unsetenv("MPSCNN_FUSION"); }
};

ops::Pooling pooling(PoolingKind kind, std::int64_t size, std::int64_t stride,
                     PaddingPolicy padding = PaddingPolicy::same) {
    ops::Pooling result;
    result.kind = kind;
    result.window = window(size, stride, padding);
    return result;
}

Network pooled(const ops::Convolution &convolution, std::int64_t inputs, const ops::Pooling &pooling,
               std::optional<ops::Neuron> activation = relu) {
    Network network;
    const ValueId x = network.add(convolution, {network.input({any, any, any, inputs})}, activation);
    return std::move(network.output(network.add(pooling, {x})));
}

bool is_one_step(const Network &network, const std::vector<Shape> &shapes) {
    return cpu_steps(network, shapes).size() == 1;
}

/// Return true if results have the same bits as both operations one by one, on every instruction set.
bool as_two_steps(const engine::Graph &graph, const Arrays &inputs,
                  Precision precision = Precision::float32) {
    for (const cpu::KernelTable *table : cpu::available_kernels()) {
        const auto backend = cpu::make_cpu_backend(table->name);
        setenv("MPSCNN_FUSION", "none", 1);
        const Arrays expected = run(*backend, graph, inputs, precision);
        unsetenv("MPSCNN_FUSION");
        const Forced forced;
        for (int threads : {1, 2, 3, 5})
            if (!same_bits(run(*backend, graph, inputs, precision, threads)[0].values, expected[0].values))
                return false;
    }
    return true;
}

} // namespace

TEST(results_are_those_of_both_operations) {
    const Forced forced;
    for (std::int64_t kernel : {1, 3, 5})
        for (std::int64_t stride : {1, 2})
            for (std::int64_t outputs : {7, 40, 100})
                for (PoolingKind kind : {PoolingKind::max, PoolingKind::average})
                    for (std::int64_t size : {2, 3}) {
                        const Network network = pooled(convolution(outputs, window(kernel, stride)), 5,
                                                       pooling(kind, size, size));
                        for (std::int64_t batch : {1, 3}) {
                            const std::vector<Shape> shapes{{batch, 21, 18, 5}};
                            CHECK(is_one_step(network, shapes));
                            // Means of nine values are rounded.
                            CHECK(cpu_error(network, shapes) <= (size == 3 ? 1e-6 : 0));
                        }
                    }
}

TEST(images_of_many_bands) {
    const Forced forced;
    for (const ops::Window &w : {window(3), window(5), window(3, 1, PaddingPolicy::same, 9),
                                 window(3, 2, PaddingPolicy::full), window(1)})
        for (std::int64_t outputs : {48, 80}) {
            const Network network = pooled(convolution(outputs, w), 4, pooling(PoolingKind::max, 2, 2));
            CHECK(is_one_step(network, {{1, 75, 74, 4}}));
            CHECK(cpu_error(network, {{1, 75, 74, 4}}) == 0);
        }
}

TEST(poolings_have_every_edge) {
    for (PoolingKind kind : {PoolingKind::max, PoolingKind::average, PoolingKind::l2_norm})
        for (EdgeRule edge : {EdgeRule::exclude, EdgeRule::zero, EdgeRule::clamp})
            for (bool ceil_mode : {false, true}) {
                ops::Pooling pool = pooling(kind, 3, 4, PaddingPolicy::explicit_);
                pool.window.pad_top = 2, pool.window.pad_left = 1, pool.window.pad_bottom = 1;
                pool.window.ceil_mode = ceil_mode;
                pool.edge = edge;
                const Network network = pooled(convolution(24, window(3)), 6, pool, std::nullopt);
                CHECK(as_two_steps(network.graph, random_inputs({{1, 40, 33, 6}})));
                const Forced forced;
                CHECK(is_one_step(network, {{1, 40, 33, 6}}));
            }
}

TEST(bits_are_those_of_two_steps_and_of_any_number_of_threads) {
    const Network network = pooled(convolution(64, window(5)), 32, pooling(PoolingKind::max, 2, 2));
    const std::vector<Shape> shapes{{1, 14, 14, 32}};
    Arrays inputs = random_inputs(shapes);
    for (float &x : inputs[0].values) x *= 0.7f; // sums are rounded
    for (Precision precision : {Precision::float32, Precision::float16})
        CHECK(as_two_steps(network.graph, inputs, precision));
}

TEST(a_nan_reaches_the_windows_that_read_it_only) {
    const Network network = pooled(convolution(40, window(3)), 8, pooling(PoolingKind::max, 2, 2));
    const std::vector<Shape> shapes{{1, 30, 30, 8}};
    Arrays inputs = random_inputs(shapes);
    inputs[0].values[(12 * 30 + 7) * 8 + 3] = std::numeric_limits<float>::quiet_NaN();
    inputs[0].values[(20 * 30 + 21) * 8] = std::numeric_limits<float>::infinity();
    CHECK(as_two_steps(network.graph, inputs));
    const Forced forced;
    const Arrays results = run(*cpu::make_cpu_backend(), network.graph, inputs);
    CHECK(std::count_if(results[0].values.begin(), results[0].values.end(),
                        [](float x) { return std::isnan(x); }) >= 4 * 40);
}

TEST(what_else_is_read_or_overlaps_stays_two_steps) {
    const Forced forced;
    CHECK(!is_one_step(pooled(convolution(16, window(3)), 4, pooling(PoolingKind::max, 3, 2)),
                       {{1, 20, 20, 4}}));
    CHECK(!is_one_step(pooled(convolution(4, window(3), 4), 4, pooling(PoolingKind::max, 2, 2)),
                       {{1, 20, 20, 4}}));
    Network network;
    const ValueId x = network.add(convolution(16, window(3)), {network.input({any, any, any, 4})}, relu);
    network.output(network.add(pooling(PoolingKind::max, 2, 2), {x})).output(x);
    CHECK(cpu_steps(network, {{1, 20, 20, 4}}).size() == 2);
    CHECK(cpu_error(network, {{1, 20, 20, 4}}) == 0);
}
