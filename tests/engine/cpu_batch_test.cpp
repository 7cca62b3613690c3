// Batches that the CPU engine computes in groups of images.

#include <algorithm>
#include <cmath>
#include <limits>

#include "cpu/plan/batch_cut.h"
#include "tests/cpp/check.h"
#include "tests/engine/known_caches.h"
#include "tests/engine/small_network.h"

using namespace small;
using engine::TensorView;

namespace {

constexpr std::int64_t any = Shape::any;

/// A network with two outputs that is large enough for batches to be computed in groups. Each image takes
/// 16.8 million operations, and 900 KB between two steps.
Network large(const ops::Operation &last = ops::Softmax{}) {
    Network network;
    const ValueId image = network.input({any, 64, 64, 8}), vector = network.input({any, 32});
    ValueId x = network.add(convolution(32, window(3)), {image}, relu6);
    x = network.add(convolution(32, window(3, 2), 32), {x}, relu6);
    const ValueId pooled = network.add(ops::Pooling{ops::PoolingKind::average, {}, false, true}, {x});
    const ValueId both =
        network.add(ops::Addition{}, {network.add(ops::Reshape{{32}}, {pooled}), vector}, relu);
    return std::move(network.output(network.add(last, {both})).output(x));
}

std::vector<Shape> shapes_for(std::int64_t batch) { return {{batch, 64, 64, 8}, {batch, 32}}; }

cpu::BatchCut cut_for(const Network &network, std::int64_t batch, int threads) {
    const auto lowered = cpu::make_cpu_backend()->lower(network.graph, {});
    const auto plan = lowered->plan(shapes_for(batch));
    return cpu::cut_batch(cpu::own_plan(*plan), threads);
}

/// Views of arrays with gaps between images.
struct Spread {
    Spread(const Arrays &arrays, std::int64_t gap) {
        for (const Array &array : arrays) {
            const std::int64_t image = array.shape.elements() / array.shape[0];
            memory.emplace_back(static_cast<std::size_t>(array.shape[0] * (image + gap)), -1.0f);
            for (std::int64_t i = 0; i < array.shape[0]; ++i)
                std::copy_n(array.values.begin() + i * image, image,
                            memory.back().begin() + i * (image + gap));
            views.push_back(TensorView::dense(memory.back().data(), DType::float32, array.shape));
            views.back().strides[0] = (image + gap) * static_cast<std::int64_t>(sizeof(float));
        }
    }
    std::vector<std::vector<float>> memory;
    std::vector<TensorView> views;
};

} // namespace

TEST(groups_share_out_all_images) {
    const Network network = large();
    for (int threads : {1, 2, 3, 5})
        for (std::int64_t batch : {1, 2, 4, 5, 7, 16, 33}) {
            const cpu::BatchCut cut = cut_for(network, batch, threads);
            if (batch == 1 || batch < threads) CHECK(cut.groups == 0);
            if (cut.groups == 0) continue;
            CHECK(cut.images + cut.rest == batch);
            CHECK(cut.rest == batch % threads);
            CHECK(cut.groups % threads == 0);
            CHECK(cut.group_begin(cut.groups) == cut.images);
            for (std::int64_t i = 0; i < cut.groups; ++i) {
                const std::int64_t images = cut.group_begin(i + 1) - cut.group_begin(i);
                CHECK(images == cut.smallest_group() || images == cut.largest_group());
                CHECK(images > 0);
            }
        }
    CHECK(cut_for(network, 16, 1).groups == 16); // one image fits L2
    CHECK(cut_for(network, 16, 2).groups == 16);
}

TEST(small_networks_are_not_worth_a_thread_for_each_group) {
    Network network;
    network.output(network.add(ops::Softmax{}, {network.input({any, 64, 64, 8})}));
    const auto lowered = cpu::make_cpu_backend()->lower(network.graph, {});
    const auto plan = lowered->plan({{2, 64, 64, 8}});
    CHECK(cpu::cut_batch(cpu::own_plan(*plan), 2).groups == 0);
}

TEST(images_that_depend_on_each_other_stay_together) {
    ops::Dropout dropout;
    dropout.training = true;
    CHECK(cut_for(large(dropout), 16, 2).groups == 0);
    CHECK(cut_for(large(), 16, 2).groups > 0);

    Network network;
    const ValueId image = network.input({any, 64, 64, 8});
    const ValueId x = network.add(convolution(64, window(3)), {image});
    const ValueId statistics = network.add(ops::BatchStatistics{}, {x});
    network.output(network.add(ops::BatchNormalization{}, {x, statistics}));
    const auto lowered = cpu::make_cpu_backend()->lower(network.graph, {});
    const auto plan = lowered->plan({{16, 64, 64, 8}});
    CHECK(cpu::cut_batch(cpu::own_plan(*plan), 2).groups == 0);
}

TEST(groups_change_no_bit) {
    const Network network = large();
    for (const cpu::KernelTable *table : cpu::available_kernels())
        for (Precision precision : {Precision::float32, Precision::float16}) {
            const auto backend = cpu::make_cpu_backend(table->name);
            for (std::int64_t batch : {5, 8}) {
                Arrays inputs = random_inputs(shapes_for(batch));
                Arrays expected = arrays_for_outputs(network.graph, shapes_for(batch));
                for (std::int64_t i = 0; i < batch; ++i) {
                    Arrays alone = inputs;
                    for (Array &array : alone) {
                        const std::int64_t image = array.shape.elements() / batch;
                        array.values = {array.values.begin() + i * image,
                                        array.values.begin() + (i + 1) * image};
                        array.shape[0] = 1;
                    }
                    const Arrays results = run(*backend, network.graph, alone, precision);
                    for (std::size_t k = 0; k < results.size(); ++k)
                        std::copy(results[k].values.begin(), results[k].values.end(),
                                  expected[k].values.begin() +
                                      i * static_cast<std::int64_t>(results[k].values.size()));
                }
                for (int threads : {1, 2, 3}) {
                    const Arrays results = run(*backend, network.graph, inputs, precision, threads);
                    for (std::size_t k = 0; k < results.size(); ++k)
                        CHECK(same_bits(results[k].values, expected[k].values));
                }
            }
        }
}

TEST(gaps_between_images_are_stepped_over_and_kept) {
    const Network network = large();
    const std::vector<Shape> shapes = shapes_for(7);
    const Arrays inputs = random_inputs(shapes);
    const Arrays expected = run(*cpu::make_cpu_backend(), network.graph, inputs, Precision::float32, 2);
    const auto lowered = cpu::make_cpu_backend()->lower(network.graph, {});
    const auto plan = lowered->plan(shapes);
    const auto executor = lowered->executor({2});
    Spread in(inputs, 5), out(arrays_for_outputs(network.graph, shapes), 3);
    executor->run(*plan, in.views, out.views); // without prepare()
    CHECK(out.memory == Spread(expected, 3).memory);
}

TEST(an_executor_runs_plans_of_several_batches_in_turns) {
    const Network network = large();
    const auto lowered = cpu::make_cpu_backend()->lower(network.graph, {});
    const auto executor = lowered->executor({2});
    for (std::int64_t batch : {8, 1, 5, 8, 3}) {
        Arrays inputs = random_inputs(shapes_for(batch));
        const Arrays expected = run(*cpu::make_cpu_backend(), network.graph, inputs);
        Arrays outputs = arrays_for_outputs(network.graph, shapes_for(batch));
        const auto plan = lowered->plan(shapes_for(batch)); // may lie where the last one lay
        executor->run(*plan, views_of(inputs), views_of(outputs));
        for (std::size_t k = 0; k < outputs.size(); ++k)
            CHECK(same_bits(outputs[k].values, expected[k].values));
    }
}

TEST(wrong_tensors_are_refused_before_anything_runs) {
    const Network network = large();
    const auto lowered = cpu::make_cpu_backend()->lower(network.graph, {});
    const auto plan = lowered->plan(shapes_for(8));
    const auto executor = lowered->executor({2});
    Arrays inputs = random_inputs(shapes_for(7)), outputs = arrays_for_outputs(network.graph, shapes_for(8));
    CHECK_THROWS(executor->run(*plan, views_of(inputs), views_of(outputs)), ErrorKind::shape, "input 0");
}

TEST(a_result_that_is_not_finite_is_found_in_the_whole_batch) {
    const Network network = large();
    const auto lowered = cpu::make_cpu_backend()->lower(network.graph, {});
    const auto plan = lowered->plan(shapes_for(8));
    Arrays inputs = random_inputs(shapes_for(8)), outputs = arrays_for_outputs(network.graph, shapes_for(8));
    inputs[1].values[5 * 32 + 3] = std::numeric_limits<float>::quiet_NaN();
    const auto executor = lowered->executor({2, true});
    CHECK_THROWS(executor->run(*plan, views_of(inputs), views_of(outputs)), ErrorKind::parameter, "image 5");
}
