// Tests of the CPU engine with memory layouts of callers, batches, threads, precisions and errors.

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <set>
#include <thread>

#include "tests/cpp/check.h"
#include "tests/engine/small_network.h"

using namespace small;
using engine::TensorView;

namespace {

constexpr std::int64_t any = Shape::any;

/// A network with many kinds of layers: depthwise, residual, concatenation, pooling, dense layer, softmax.
Network small_mobilenet() {
    Network network;
    ValueId x = network.input({any, any, any, 3});
    x = network.add(convolution(16, window(3, 2)), {x}, relu6);
    ValueId y = network.add(convolution(48, window(1)), {x}, relu6);
    y = network.add(convolution(48, window(3), 48), {y}, relu6);
    y = network.add(convolution(16, window(1)), {y});
    x = network.add(ops::Addition{}, {x, y});
    y = network.add(ops::Pooling{ops::PoolingKind::average, window(3)}, {x});
    x = network.add(ops::Concatenation{}, {x, y});
    x = network.add(ops::Pooling{ops::PoolingKind::average, {}, false, true}, {x});
    x = network.add(ops::FullyConnected{10}, {x});
    return std::move(network.output(network.add(ops::Softmax{}, {x})));
}

/// A network of one convolution, whose results are exact.
Network single_layer(std::int64_t channels = 5, std::int64_t outputs = 11) {
    Network network;
    const ValueId input = network.input({any, any, any, channels});
    return std::move(network.output(network.add(convolution(outputs, window(3)), {input}, relu)));
}

/// A tensor within a larger piece of memory.
struct Placed {
    std::vector<std::byte> memory;
    TensorView view;

    Placed(const Shape &shape, DType type, std::array<std::ptrdiff_t, Shape::max_rank> strides,
           std::size_t offset, std::size_t bytes)
        : memory(bytes, std::byte{0x55}) {
        view = {memory.data() + offset, type, shape, strides};
    }
    void set(const std::vector<float> &values) {
        toy::Tensor tensor(view.shape);
        for (std::size_t i = 0; i < values.size(); ++i)
            tensor.row_major(static_cast<std::int64_t>(i)) = values[i];
        toy::write(tensor, view);
    }
    std::vector<float> get() const {
        const toy::Tensor tensor = toy::read(view, false);
        std::vector<float> values;
        for (std::int64_t i = 0; i < view.shape.elements(); ++i)
            values.push_back(static_cast<float>(tensor.row_major(i)));
        return values;
    }
    /// Return the number of bytes that a run has changed.
    std::size_t changed_bytes() const {
        return static_cast<std::size_t>(std::count_if(
            memory.begin(), memory.end(), [](std::byte byte) { return byte != std::byte{0x55}; }));
    }
};

/// Return a (2, 4, 5, channels) tensor with various strides. If `reading`, elements may share memory.
std::vector<Placed> placements(std::int64_t channels, bool reading) {
    const Shape shape{2, 4, 5, channels};
    const std::ptrdiff_t c = channels;
    std::vector<Placed> result;
    for (const auto &[type, size] :
         {std::pair<DType, std::ptrdiff_t>{DType::float32, 4}, {DType::float16, 2}}) {
        const auto place = [&](std::array<std::ptrdiff_t, Shape::max_rank> strides, std::size_t offset) {
            result.emplace_back(shape, type, strides, offset, 8192);
        };
        place({20 * c * size, 5 * c * size, c * size, size}, 0);            // without gaps
        place({20 * c * size, 5 * c * size, c * size, size}, 1);            // at an odd address
        place({4 * 7 * 20 * size, 7 * 20 * size, 20 * size, size}, 64);     // part of a larger image
        place({4 * 7 * 20 * size + 1, 7 * 20 * size, 20 * size, size}, 64); // odd strides
        place({20 * c * size, 5 * size, size, 20 * size}, 0);               // channel-first
        place({-20 * c * size, 5 * c * size, c * size, size},
              static_cast<std::size_t>(20 * c * size)); // backwards
        place({20 * c * size, 5 * c * size, -c * size, size}, static_cast<std::size_t>(4 * c * size));
        if (reading) place({0, 5 * c * size, c * size, size}, 0); // the same image twice
    }
    return result;
}

/// Run a graph once with these views.
void execute(const engine::Graph &graph, const std::vector<TensorView> &inputs,
             const std::vector<TensorView> &outputs, Precision precision = Precision::float32) {
    const auto lowered = cpu::make_cpu_backend()->lower(graph, {precision});
    std::vector<Shape> shapes;
    for (const TensorView &input : inputs) shapes.push_back(input.shape);
    const auto plan = lowered->plan(shapes);
    lowered->executor({2})->run(*plan, inputs, outputs);
}

} // namespace

TEST(pixel_pitches_of_2048_bytes_are_avoided_without_harm) {
    Network network;
    ValueId x = network.input({any, any, any, 8});
    x = network.add(convolution(512, window(1)), {x}, relu);
    x = network.add(convolution(512, window(3), 512), {x});
    network.output(network.add(convolution(8, window(1)), {x}));
    CHECK(cpu_error(network, {{2, 4, 4, 8}}) == 0);
}

TEST(inputs_are_read_with_any_strides_and_type) {
    const Network network = single_layer();
    for (Precision precision : {Precision::float32, Precision::float16})
        for (Placed &input : placements(5, true)) {
            input.set(random_array(input.view.shape, 3).values);
            const Arrays dense{{input.view.shape, input.get()}};
            Arrays outputs = arrays_for_outputs(network.graph, {input.view.shape});
            execute(network.graph, {input.view}, views_of(outputs), precision);
            CHECK(difference(outputs, run(toy::Backend(), network.graph, dense, precision)) == 0);
        }
}

TEST(outputs_are_written_with_any_strides_and_type_and_nothing_else_is) {
    const Network network = single_layer();
    Arrays inputs = random_inputs({{2, 4, 5, 5}});
    for (Precision precision : {Precision::float32, Precision::float16}) {
        const Arrays expected = run(toy::Backend(), network.graph, inputs, precision);
        for (Placed &output : placements(11, false)) {
            execute(network.graph, views_of(inputs), {output.view}, precision);
            std::vector<float> rounded = expected[0].values;
            if (output.view.type == DType::float16)
                for (float &value : rounded) value = round_to_half(value);
            CHECK(difference(output.get(), rounded) == 0);
            CHECK(output.changed_bytes() <= rounded.size() * size_of(output.view.type));
        }
    }
}

TEST(an_output_may_be_an_input_and_the_input_of_later_layers) {
    Network network;
    const ValueId input = network.input({any, 4, 5, 6});
    const ValueId a = network.add(convolution(9, window(1)), {input}, relu);
    const ValueId b = network.add(convolution(9, window(3)), {a});
    const ValueId c = network.add(ops::Addition{}, {a, b});
    network.output(b).output(input).output(a).output(c).output(network.add(ops::Concatenation{}, {c, a}));
    for (Precision precision : {Precision::float32, Precision::float16})
        CHECK(cpu_error(network, {{2, 4, 5, 6}}, precision) == 0);
}

TEST(an_input_alone_is_copied_and_rounded_in_half_precision) {
    Network network;
    network.output(network.input({any, 3}));
    const Arrays inputs{{{1, 3}, {2049, 0.1f, 70000}}};
    const auto backend = cpu::make_cpu_backend();
    CHECK(same_bits(run(*backend, network.graph, inputs)[0].values, inputs[0].values));
    const std::vector<float> rounded{2048, round_to_half(0.1f), INFINITY};
    CHECK(same_bits(run(*backend, network.graph, inputs, Precision::float16)[0].values, rounded));
}

TEST(unused_inputs_and_results_do_no_harm) {
    Network network;
    const ValueId used = network.input({any, 4}), unused = network.input({any, 3, 3, 2});
    network.add(relu, {unused});
    network.output(network.add(relu, {used}));
    CHECK(cpu_error(network, {{2, 4}, {2, 3, 3, 2}}) == 0);
}

TEST(threads_share_what_is_beside_a_run) {
    const auto lowered = cpu::make_cpu_backend()->lower(small_mobilenet().graph, {});
    const auto executor = lowered->executor({2});
    std::array<std::atomic<int>, 100> done{};
    std::mutex mutex;
    std::condition_variable second_came;
    std::set<std::thread::id> threads;
    bool together = true;
    executor->share(100, 7, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i) ++done[static_cast<std::size_t>(i)];
        std::unique_lock lock(mutex);
        threads.insert(std::this_thread::get_id());
        second_came.notify_all();
        together &= second_came.wait_for(lock, std::chrono::seconds(60), [&] { return threads.size() == 2; });
    });
    CHECK(together && std::all_of(done.begin(), done.end(), [](const auto &times) { return times == 1; }));
    CHECK_THROWS(executor->share(9, 1, [](auto, auto) { fail(ErrorKind::parameter, "no such photo"); }),
                 ErrorKind::parameter, "no such photo");
}

TEST(an_executor_runs_several_plans_in_turn) {
    const Network network = small_mobilenet();
    const auto backend = cpu::make_cpu_backend();
    const auto lowered = backend->lower(network.graph, {});
    const auto executor = lowered->executor({2});
    const std::vector<Shape> shapes{{1, 20, 20, 3}, {3, 40, 30, 3}, {1, 8, 9, 3}};
    std::vector<std::unique_ptr<engine::Plan>> plans;
    for (const Shape &shape : shapes) plans.push_back(lowered->plan({shape}));
    for (std::size_t i : {0, 1, 2, 0, 2, 1}) {
        Arrays inputs = random_inputs({shapes[i]}), outputs = arrays_for_outputs(network.graph, {shapes[i]});
        executor->run(*plans[i], views_of(inputs), views_of(outputs));
        CHECK(same_bits(outputs[0].values, run(*backend, network.graph, inputs)[0].values));
    }
}

TEST(a_plan_outlives_what_made_it) {
    const Network network = single_layer();
    auto lowered = cpu::make_cpu_backend()->lower(network.graph, {});
    const auto plan = lowered->plan({{1, 4, 5, 5}});
    const auto executor = lowered->executor({1});
    lowered.reset();
    Arrays inputs = random_inputs({{1, 4, 5, 5}}),
           outputs = arrays_for_outputs(network.graph, {{1, 4, 5, 5}});
    executor->run(*plan, views_of(inputs), views_of(outputs));
    CHECK(difference(outputs, run(toy::Backend(), network.graph, inputs)) == 0);
}

TEST(nan_reaches_exactly_what_depends_on_it) {
    Network network;
    ValueId x = network.input({any, any, any, 9});
    x = network.add(convolution(9, window(3), 9), {x}, relu6);
    x = network.add(convolution(13, window(3, 2)), {x}, ops::Neuron{ops::NeuronKind::relun, 0.25f, 6});
    x = network.add(ops::Pooling{ops::PoolingKind::max, window(2)}, {x});
    network.output(network.add(ops::Padding{1, 1, 1, 1}, {x}));
    Arrays inputs = random_inputs({{2, 13, 11, 9}});
    inputs[0].values[9 * (6 * 11 + 5) + 4] = NAN;
    CHECK(cpu_error(network.graph, inputs) <= 1e-6);
}

TEST(weights_beyond_the_largest_half_are_refused_in_half_precision) {
    Network network;
    const ValueId dense = network.graph.add_node("head", ops::FullyConnected{1}, {network.input({any, 2})});
    network.graph.set_weight("head", "weight", engine::WeightTensor::from_floats({1, 2}, {1, 65520}));
    network.output(dense);
    const auto backend = cpu::make_cpu_backend();
    CHECK_THROWS(backend->lower(network.graph, {Precision::float16}), ErrorKind::weights,
                 "layer 'head': weight 65520");
    CHECK(run(*backend, network.graph, {{{1, 2}, {1, 2}}})[0].values == std::vector<float>{131041});
}

TEST(biases_are_not_rounded) {
    Network network;
    const ValueId dense = network.graph.add_node("head", ops::FullyConnected{1}, {network.input({any, 1})});
    network.graph.set_weight("head", "weight", engine::WeightTensor::from_floats({1, 1}, {2049}));
    network.graph.set_weight("head", "bias", engine::WeightTensor::from_floats({1}, {-2047.5f}));
    network.output(dense);
    // The weight becomes 2048; a bias in half would be -2048.
    const Arrays result = run(*cpu::make_cpu_backend(), network.graph, {{{1, 1}, {1}}}, Precision::float16);
    CHECK(result[0].values == std::vector<float>{0.5f});
}

TEST(wrong_shapes_types_and_plans_are_refused) {
    const Network network = single_layer();
    const auto lowered = cpu::make_cpu_backend()->lower(network.graph, {});
    const auto plan = lowered->plan({{1, 4, 5, 5}});
    const auto executor = lowered->executor({1});
    Arrays inputs = random_inputs({{1, 4, 5, 5}}),
           outputs = arrays_for_outputs(network.graph, {{1, 4, 5, 5}});
    auto in = views_of(inputs), out = views_of(outputs);
    CHECK_THROWS(executor->run(*plan, {}, out), ErrorKind::shape, "1 inputs, got 0");
    CHECK_THROWS(executor->run(*plan, out, out), ErrorKind::shape,
                 "input 0: the plan is for shape (1, 4, 5, 5)");
    CHECK_THROWS(executor->run(*plan, in, in), ErrorKind::shape,
                 "output 0: the plan is for shape (1, 4, 5, 11)");
    in[0].type = DType::uint8;
    CHECK_THROWS(executor->run(*plan, in, out), ErrorKind::shape, "got uint8");
    CHECK_THROWS(executor->prepare(toy::Plan({})), ErrorKind::state, "another backend");
    CHECK_THROWS(lowered->executor({-1}), ErrorKind::parameter, "-1");
    CHECK_THROWS(lowered->plan({}), ErrorKind::shape, "takes 1 inputs, got shapes for 0");
    CHECK_THROWS(lowered->plan({{1, 4, 5, 6}}), ErrorKind::shape,
                 "input 'input0': expected (n, any, any, 5)");
}

TEST(the_device_is_named_with_its_instruction_set) {
    for (const cpu::KernelTable *table : cpu::available_kernels()) {
        const std::string name = cpu::make_cpu_backend(table->name)->device_name();
        CHECK(name.find(std::string(" (") + table->name + ")") != std::string::npos);
    }
    CHECK(cpu::make_cpu_backend()->name() == std::string("cpu"));
    CHECK_THROWS(cpu::make_cpu_backend("z80"), ErrorKind::parameter, "z80");
}
