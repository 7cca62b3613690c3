// Tests of programs and sessions with a backend that shares no code with the CPU engine.

#include "engine/run/program.h"
#include "tests/cpp/check.h"
#include "tests/engine/small_network.h"

using namespace small;
using engine::Program;
using engine::Session;
using engine::TensorView;

namespace {

engine::BackendChoice choice(std::shared_ptr<const engine::Backend> backend, Precision precision) {
    return {std::move(backend), precision, "the test asked for it"};
}

/// A network with layers that canonicalisation merges: batch normalizations and neurons after convolutions.
Network network_with_normalization() {
    Network network;
    const ValueId input = network.input({-1, -1, -1, 3});
    ValueId x = network.add(convolution(8, window(3, 2)), {input});
    x = network.add(ops::BatchNormalization{}, {x});
    x = network.add(relu6, {x});
    ValueId y = network.add(convolution(8, window(3), 8), {x});
    y = network.add(ops::BatchNormalization{}, {y});
    y = network.add(ops::Addition{}, {x, y});
    y = network.add(ops::Concatenation{}, {x, y});
    y = network.add(ops::Pooling{ops::PoolingKind::average, {}, false, true}, {y});
    y = network.add(ops::Reshape{{16}}, {y});
    y = network.add(ops::FullyConnected{5}, {y});
    return std::move(network.output(network.add(ops::Softmax{}, {y})).output(x));
}

Arrays run_session(const engine::Graph &graph, const std::shared_ptr<const engine::Backend> &backend,
                   Precision precision, Arrays inputs) {
    Session session(Program::compile(graph, choice(backend, precision)), {1});
    Arrays outputs = arrays_for_outputs(graph, shapes_of(inputs));
    session.run(views_of(inputs), views_of(outputs));
    return outputs;
}

} // namespace

TEST(a_program_runs_on_either_backend_with_the_same_result) {
    const Network network = network_with_normalization();
    const auto toy_backend = std::make_shared<toy::Backend>();
    for (const Shape &shape : {Shape{1, 16, 12, 3}, Shape{3, 9, 11, 3}}) {
        const Arrays inputs = random_inputs({shape});
        const Arrays expected = run_session(network.graph, toy_backend, Precision::float32, inputs);
        CHECK(difference(run_session(network.graph, cpu::make_cpu_backend(), Precision::float32, inputs),
                         expected) <= 1e-4);
        // Folding changes the last bits only.
        CHECK(difference(run(*toy_backend, network.graph, inputs), expected) <= 1e-4);
    }
}

TEST(programs_round_in_half_precision_on_either_backend) {
    Network network;
    ValueId x = network.input({-1, 4, 4, 6});
    x = network.add(convolution(10, window(3)), {x});
    x = network.add(relu, {x});
    network.output(network.add(convolution(4, window(1)), {x}));
    const Arrays inputs = random_inputs({{2, 4, 4, 6}});
    const Arrays toys =
        run_session(network.graph, std::make_shared<toy::Backend>(), Precision::float16, inputs);
    CHECK(difference(run_session(network.graph, cpu::make_cpu_backend(), Precision::float16, inputs), toys) ==
          0);
    for (float value : toys[0].values) CHECK(value == round_to_half(value));
}

TEST(one_session_runs_different_shapes_and_wanted_layers) {
    const Network network = network_with_normalization();
    const auto backend = std::make_shared<toy::Backend>();
    const std::string layer = network.graph.value_name(network.graph.outputs()[1]);
    const auto program =
        Program::compile(network.graph, choice(backend, Precision::float32), {.outputs = {layer}});
    CHECK(program->outputs().size() == 1 && program->outputs()[0].name == layer);
    Session session(program, {});
    for (const Shape &shape : {Shape{1, 8, 8, 3}, Shape{2, 6, 4, 3}, Shape{1, 8, 8, 3}}) {
        Arrays inputs = random_inputs({shape});
        const std::int64_t rows = (shape[1] + 1) / 2, columns = (shape[2] + 1) / 2;
        Arrays outputs{{{shape[0], rows, columns, 8}, {}}};
        outputs[0].values.resize(static_cast<std::size_t>(outputs[0].shape.elements()));
        session.run(views_of(inputs), views_of(outputs));
        const Arrays whole = run(*backend, network.graph, inputs);
        CHECK(difference(outputs[0].values, whole[1].values) <= 1e-5);
    }
}

TEST(a_refusal_names_layer_operation_device_and_reason) {
    Network network;
    const ValueId x = network.input({-1, 2050});
    network.output(network.add(ops::Argument{}, {x}));
    const auto backend = std::make_shared<toy::Backend>();
    CHECK(Program::compile(network.graph, choice(backend, Precision::float32)) != nullptr);
    CHECK_THROWS(Program::compile(network.graph, choice(backend, Precision::float16)), ErrorKind::unsupported,
                 "(argument) on device 'toy': feature channels must be at most 2049 in float16, whose whole "
                 "numbers end at 2048, got 2050");
}

TEST(sessions_check_shapes_before_the_backend_sees_them) {
    const Network network = network_with_normalization();
    const auto backend = std::make_shared<toy::Backend>();
    Session session(Program::compile(network.graph, choice(backend, Precision::float32)), {});
    Arrays inputs = random_inputs({{1, 8, 8, 4}}), outputs = random_inputs({{1, 5}, {1, 4, 4, 8}});
    CHECK_THROWS(session.run(views_of(inputs), views_of(outputs)), ErrorKind::shape,
                 "3 feature channels, not 4");
}
