// Tests of the CPU engine's memory: the arena's size, allocations during runs, and arrays used without
// copies.

#include <atomic>
#include <cstdlib>
#include <new>

#include "core/memory.h"
#include "cpu/plan/batch_cut.h"
#include "cpu/plan/tensor_port.h"
#include "tests/cpp/check.h"
#include "tests/engine/known_caches.h"
#include "tests/engine/small_network.h"

namespace {

std::atomic<int> allocations{0};

void *counted(std::size_t bytes) {
    ++allocations;
    if (void *memory = std::malloc(bytes)) return memory;
    throw std::bad_alloc();
}

} // namespace

void *operator new(std::size_t bytes) { return counted(bytes); }
void *operator new(std::size_t bytes, const std::nothrow_t &) noexcept { return operator new(bytes); }
void *operator new[](std::size_t bytes) { return counted(bytes); }
void operator delete(void *memory) noexcept { std::free(memory); }
void operator delete[](void *memory) noexcept { std::free(memory); }
void operator delete(void *memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void *memory, std::size_t) noexcept { std::free(memory); }

using namespace small;
using engine::TensorView;

namespace {

constexpr std::int64_t any = Shape::any;

/// MobileNetV2 (Sandler et al. 2018, table 2).
Network mobilenet_v2() {
    struct Block {
        std::int64_t expansion, channels, repeats, stride;
    };
    constexpr Block blocks[] = {{1, 16, 1, 1}, {6, 24, 2, 2},  {6, 32, 3, 2}, {6, 64, 4, 2},
                                {6, 96, 3, 1}, {6, 160, 3, 2}, {6, 320, 1, 1}};
    Network network;
    ValueId x = network.input({any, any, any, 3});
    x = network.add(convolution(32, window(3, 2)), {x}, relu6);
    std::int64_t channels = 32;
    for (const Block &block : blocks)
        for (std::int64_t i = 0; i < block.repeats; ++i) {
            const std::int64_t stride = i == 0 ? block.stride : 1, expanded = channels * block.expansion;
            ValueId y = x;
            if (block.expansion > 1) y = network.add(convolution(expanded, window(1)), {y}, relu6);
            y = network.add(convolution(expanded, window(3, stride), expanded), {y}, relu6);
            y = network.add(convolution(block.channels, window(1)), {y});
            x = stride == 1 && channels == block.channels ? network.add(ops::Addition{}, {x, y}) : y;
            channels = block.channels;
        }
    x = network.add(convolution(1280, window(1)), {x}, relu6);
    x = network.add(ops::Pooling{ops::PoolingKind::average, {}, false, true}, {x});
    x = network.add(ops::FullyConnected{1001}, {x});
    return std::move(network.output(network.add(ops::Softmax{}, {x})));
}

/// A network with every kind of step, whose inputs and outputs need conversions.
Network all_kinds() {
    Network network;
    const ValueId input = network.input({any, any, any, 6});
    ValueId x = network.add(ops::Padding{1, 1, 1, 1, 0, 0, 1.0f}, {input});
    x = network.add(convolution(12, window(3), 2), {x}, relu6);
    ValueId y = network.add(convolution(12, window(3), 12), {x}, ops::Neuron{ops::NeuronKind::prelu});
    x = network.add(ops::Addition{}, {y, x});
    x = network.add(ops::BatchNormalization{}, {x});
    x = network.add(ops::Pooling{ops::PoolingKind::max, window(3)}, {x});
    x = network.add(ops::Concatenation{}, {x, x});
    x = network.add(ops::Resize{ops::ResizeKind::bilinear, ops::ResizeAlignment::half_pixel, 4, 4}, {x});
    x = network.add(ops::Reshape{{-1}}, {x});
    x = network.add(ops::FullyConnected{9}, {x});
    return std::move(network.output(network.add(ops::Softmax{}, {x})).output(input));
}

struct Counter {
    std::atomic<int> calls{0};

    static void *allocate(std::size_t bytes, std::size_t alignment, void *context) {
        ++static_cast<Counter *>(context)->calls;
        return std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
    }
    static void release(void *memory, std::size_t, void *) { std::free(memory); }
};

cpu::Storage storage_for(const Shape &shape, bool contiguous) {
    cpu::Storage storage;
    storage.extents = cpu::extents_of(shape);
    storage.contiguous = contiguous;
    return storage;
}

} // namespace

TEST(the_arena_of_mobilenet_v2_is_small) {
    const Network network = mobilenet_v2();
    std::size_t parameters = 0;
    for (const engine::LayerSummary &layer : network.graph.summary({{1, 224, 224, 3}}))
        parameters += static_cast<std::size_t>(layer.parameters);
    for (const cpu::KernelTable *table : cpu::available_kernels()) {
        const auto lowered = cpu::make_cpu_backend(table->name)->lower(network.graph, {});
        CHECK(lowered->plan({{1, 224, 224, 3}})->arena_bytes() <= 3'000'000);
        CHECK(lowered->plan({{2, 224, 224, 3}})->arena_bytes() <= 6'000'000);
        CHECK(lowered->weight_bytes() >= parameters * sizeof(float));
        CHECK(lowered->weight_bytes() <=
              parameters * sizeof(float) * 102 / 100); // incomplete vectors are padded
        // Weights are float16. Weights of depthwise layers and biases are float32.
        const auto halves = cpu::make_cpu_backend(table->name)
                                ->lower(network.graph, {.precision = engine::Precision::float16});
        CHECK((halves->weight_bytes() <= parameters * 206 / 100) == table->has_fma);
    }
}

TEST(mobilenet_v2_fuses_all_of_its_additions) {
    CHECK(count_kernels(mobilenet_v2(), {{1, 224, 224, 3}}, "arithmetic") == 0);
}

TEST(a_run_allocates_nothing_after_the_plan_is_prepared) {
    Counter counter;
    set_allocator({Counter::allocate, Counter::release, &counter});
    {
        const Network network = all_kinds();
        const std::vector<Shape> shapes{{2, 9, 8, 6}};
        for (Precision precision : {Precision::float32, Precision::float16})
            for (int threads : {0, 1, 2})
                for (DType type : {DType::float32, DType::float16}) {
                    const auto lowered = cpu::make_cpu_backend()->lower(network.graph, {precision});
                    const auto plan = lowered->plan(shapes);
                    const auto executor = lowered->executor({threads});
                    Arrays inputs = random_inputs(shapes),
                           outputs = arrays_for_outputs(network.graph, shapes);
                    auto in = views_of(inputs), out = views_of(outputs);
                    for (TensorView *view : {&in[0], &out[0], &out[1]})
                        *view = TensorView::dense(view->data, type, view->shape);
                    executor->prepare(*plan);
                    const int prepared = counter.calls;
                    executor->run(*plan, in, out); // starts the threads
                    CHECK(counter.calls == prepared);
                    const int warm = allocations;
                    for (int i = 0; i < 20; ++i) executor->run(*plan, in, out);
                    CHECK(allocations == warm);
                    CHECK(counter.calls == prepared);
                }
        CHECK(counter.calls > 0);
        CHECK(allocations > 0);
    }
    set_allocator({});
}

TEST(other_strides_of_the_caller_are_prepared_for_once) {
    Network network;
    const ValueId x = network.add(convolution(24, window(3)), {network.input({any, any, any, 8})}, relu6);
    network.output(network.add(convolution(16, window(1)), {x}));
    const Shape shape{1, 12, 10, 8}, result{1, 12, 10, 16};
    const auto lowered = cpu::make_cpu_backend()->lower(network.graph, {});
    const auto plan = lowered->plan({shape});
    const auto executor = lowered->executor({.threads = 2});
    Arrays inputs = random_inputs({shape}), outputs = arrays_for_outputs(network.graph, {shape});
    const std::vector<float> &values = inputs[0].values;
    executor->run(*plan, views_of(inputs), views_of(outputs));

    std::vector<float> from(4000), to(4000);
    const auto run = [&](std::int64_t gap) { // after each pixel
        const auto strided = [&](float *data, const Shape &of) {
            constexpr std::ptrdiff_t size = sizeof(float);
            const std::ptrdiff_t pixel = (of[3] + gap) * size;
            return TensorView{data, DType::float32, of, {of[1] * of[2] * pixel, of[2] * pixel, pixel, size}};
        };
        for (std::size_t i = 0; i < values.size(); ++i) from[i / 8 * (8 + gap) + i % 8] = values[i];
        const TensorView in = strided(from.data(), shape), out = strided(to.data(), result);
        executor->run(*plan, {&in, 1}, {&out, 1});
        bool same = true;
        for (std::size_t i = 0; i < outputs[0].values.size(); ++i)
            same = same && to[i / 16 * (16 + gap) + i % 16] == outputs[0].values[i];
        return same;
    };
    CHECK(run(1) && run(3));
    const int warm = allocations;
    CHECK(run(1) && run(1) && run(3));
    CHECK(allocations == warm);
}

TEST(a_batch_in_groups_allocates_nothing_either) {
    Network network;
    const ValueId x = network.add(convolution(32, window(3)), {network.input({any, 64, 64, 8})}, relu6);
    network.output(network.add(convolution(32, window(3, 2), 32), {x}, relu6));
    const std::vector<Shape> shapes{{5, 64, 64, 8}};
    for (int threads : {1, 2}) {
        const auto lowered = cpu::make_cpu_backend()->lower(network.graph, {});
        const auto plan = lowered->plan(shapes);
        CHECK(cpu::cut_batch(cpu::own_plan(*plan), threads).groups > 1);
        const auto executor = lowered->executor({threads});
        Arrays inputs = random_inputs(shapes), outputs = arrays_for_outputs(network.graph, shapes);
        const auto in = views_of(inputs), out = views_of(outputs);
        executor->prepare(*plan);
        executor->run(*plan, in, out); // starts the threads
        const int warm = allocations;
        for (int i = 0; i < 3; ++i) executor->run(*plan, in, out);
        CHECK(allocations == warm);
    }
}

TEST(dense_and_strided_floats_are_used_where_they_lie) {
    std::vector<float> memory(1000);
    const Shape shape{2, 3, 4, 5};
    const TensorView dense = TensorView::dense(memory.data(), DType::float32, shape);
    const auto binding = cpu::bind_in_place(dense, storage_for(shape, true));
    CHECK(binding && binding->data == memory.data() && !binding->own);
    CHECK(binding && binding->strides == cpu::Strides{60, 20, 5});

    const TensorView part{memory.data() + 3, DType::float32, shape, {400, 120, 28, 4}};
    const auto strided = cpu::bind_in_place(part, storage_for(shape, false));
    CHECK(strided && strided->strides == cpu::Strides{100, 30, 7});
    CHECK(!cpu::bind_in_place(part, storage_for(shape, true)));
}

TEST(axes_of_extent_1_may_have_any_stride) {
    std::vector<float> memory(100);
    const Shape shape{1, 1, 4, 5};
    const TensorView view{memory.data(), DType::float32, shape, {-3, 1, 20, 4}};
    CHECK(cpu::bind_in_place(view, storage_for(shape, true)));
}

TEST(what_kernels_cannot_use_is_not_bound) {
    alignas(4) static std::byte memory[4000];
    const Shape shape{2, 3, 4, 5};
    const auto bound = [&](std::size_t offset, DType type,
                           std::array<std::ptrdiff_t, Shape::max_rank> strides) {
        return cpu::bind_in_place({memory + offset, type, shape, strides}, storage_for(shape, false))
            .has_value();
    };
    CHECK(bound(0, DType::float32, {240, 80, 20, 4}));
    CHECK(!bound(0, DType::float16, {240, 80, 20, 4}));
    CHECK(!bound(2, DType::float32, {240, 80, 20, 4}));
    CHECK(!bound(0, DType::float32, {242, 80, 20, 4}));
    CHECK(!bound(240, DType::float32, {-240, 80, 20, 4}));
    CHECK(!bound(0, DType::float32, {240, 80, 40, 8}));
}

TEST(pixel_pitches_are_whole_vectors_and_avoid_2048_bytes) {
    CHECK(cpu::arena_strides({1, 4, 4, 24}, false, 16).pixel == 32);
    CHECK(cpu::arena_strides({1, 4, 4, 24}, false, 8).pixel == 24);
    CHECK(cpu::arena_strides({1, 4, 4, 512}, false, 8).pixel == 528);
    CHECK(cpu::arena_strides({1, 4, 4, 1020}, false, 8).pixel == 1040);
    CHECK(cpu::arena_strides({1, 4, 4, 512}, true, 8).pixel == 512);
    CHECK(cpu::arena_strides({1, 224, 224, 3}, false, 8).pixel == 3);
    CHECK(cpu::arena_strides({4, 1, 1, 1001}, true, 8).pixel == 1008);
}
