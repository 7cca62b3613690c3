// Tests of which nodes the CPU engine fuses, and that fusion changes no bit of the result.

#include <algorithm>
#include <limits>
#include <span>

#include "engine/file/model_file.h"
#include "engine/graph/passes.h"
#include "tests/cpp/check.h"
#include "tests/engine/small_network.h"

using namespace small;

namespace {

constexpr std::int64_t any = Shape::any;
const std::vector<Shape> image{{2, 6, 7, 12}};

ops::Convolution pointwise(std::int64_t channels) { return convolution(channels, window(1)); }

/// Return true if the result has the same bits as the nodes one by one, in float32 and float16.
bool exact(const Network &network, const std::vector<Shape> &shapes) {
    return cpu_error(network, shapes) == 0 && cpu_error(network, shapes, Precision::float16) == 0;
}

/// A network with x and a convolution of x, which the tests add.
struct Residual {
    Network network;
    ValueId x, y;

    Residual() {
        const ValueId input = network.input({any, any, any, 12});
        x = network.add(pointwise(20), {input}, relu6);
        y = network.add(pointwise(20), {x}, relu);
    }
};

} // namespace

TEST(an_addition_joins_the_convolution_before_it) {
    for (bool swapped : {false, true}) {
        Residual r;
        const std::vector<ValueId> operands = swapped ? std::vector{r.y, r.x} : std::vector{r.x, r.y};
        r.network.output(r.network.add(ops::Addition{}, operands, relu6));
        CHECK(computed_together(r.network, image, {"convolution2", "add3"}));
        CHECK(exact(r.network, image));
    }
}

TEST(an_addition_joins_depthwise_and_dense_layers) {
    Network network;
    const ValueId input = network.input({any, any, any, 12});
    const ValueId y = network.add(convolution(12, window(3), 12), {input}, relu);
    network.output(network.add(ops::Addition{}, {y, input}));
    CHECK(computed_together(network, image, {"convolution1", "add2"}));
    CHECK(exact(network, image));

    Network dense;
    const ValueId vector = dense.input({any, 9});
    const ValueId sums = dense.add(ops::FullyConnected{9}, {vector});
    dense.output(dense.add(ops::Addition{}, {vector, sums}, relu));
    CHECK(computed_together(dense, {{3, 9}}, {"fully_connected1", "add2"}));
    CHECK(exact(dense, {{3, 9}}));
}

TEST(of_two_convolutions_the_later_one_takes_the_addition) {
    Network network;
    const ValueId input = network.input({any, any, any, 12});
    const ValueId first = network.add(pointwise(20), {input}, relu);
    const ValueId second = network.add(convolution(20, window(3)), {input});
    network.output(network.add(ops::Addition{}, {second, first}, ops::Neuron{ops::NeuronKind::prelu}));
    CHECK(computed_together(network, image, {"convolution2", "add3"}));
    CHECK(exact(network, image));
}

TEST(an_addition_stays_when_the_convolution_alone_is_wanted_too) {
    Residual output;
    output.network.output(output.network.add(ops::Addition{}, {output.x, output.y})).output(output.y);
    CHECK(computed_together(output.network, image, {"add3"}));
    CHECK(exact(output.network, image));

    Residual reader;
    const ValueId sum = reader.network.add(ops::Addition{}, {reader.x, reader.y});
    reader.network.output(sum).output(reader.network.add(relu6, {reader.y}));
    CHECK(computed_together(reader.network, image, {"add3"}));
    CHECK(exact(reader.network, image));
}

TEST(an_addition_of_a_value_to_itself_stays) {
    Residual r;
    r.network.output(r.network.add(ops::Addition{}, {r.y, r.y}));
    CHECK(computed_together(r.network, image, {"add3"}));
    CHECK(exact(r.network, image));
}

TEST(an_addition_stays_when_the_other_operand_comes_later) {
    Residual r;
    const ValueId late = r.network.add(relu6, {r.x});
    r.network.output(r.network.add(ops::Addition{}, {r.y, late}));
    CHECK(computed_together(r.network, image, {"add4"}));
    CHECK(exact(r.network, image));
}

namespace {

/// A product with a 1x1 image as either operand, as in squeeze and excitation before the projection.
struct Gated {
    Network network;
    ValueId x, product;

    explicit Gated(bool swapped, const ops::Multiplication &given = {}) {
        const ValueId input = network.input({any, any, any, 12}), gate = network.input({any, 1, 1, 12});
        x = network.add(convolution(12, window(3), 12), {input}, relu);
        ops::Multiplication multiplication = given;
        (swapped ? multiplication.primary_stride_y : multiplication.secondary_stride_y) = 0;
        (swapped ? multiplication.primary_stride_x : multiplication.secondary_stride_x) = 0;
        product = network.add(multiplication, swapped ? std::vector{gate, x} : std::vector{x, gate});
    }
    ValueId project() { return network.add(pointwise(20), {product}); }
};

using Layers = std::vector<std::string>; // the layers that a step computes
const std::vector<Shape> image_and_gate{{2, 6, 7, 12}, {2, 1, 1, 12}};

} // namespace

TEST(a_projection_multiplies_its_inputs_by_a_pixel) {
    for (bool swapped : {false, true}) {
        Gated gated(swapped);
        gated.network.output(gated.project());
        CHECK(cpu_steps(gated.network, image_and_gate).back() == Layers{"multiply3", "convolution4"});
        CHECK(exact(gated.network, image_and_gate)); // in float16 the fused step rounds the product, too
    }
    Gated residual(false);
    const ValueId other = residual.network.add(pointwise(20), {residual.x}, relu6);
    residual.network.output(residual.network.add(ops::Addition{}, {other, residual.project()}, relu));
    CHECK(cpu_steps(residual.network, image_and_gate).back() == Layers{"multiply3", "convolution5", "add6"});
    CHECK(exact(residual.network, image_and_gate));
}

TEST(a_product_stays_where_it_is_wanted_or_does_more) {
    Gated wanted(false);
    wanted.network.output(wanted.project()).output(wanted.product);
    CHECK(cpu_steps(wanted.network, image_and_gate).back() == Layers{"convolution4"});
    CHECK(exact(wanted.network, image_and_gate));

    ops::Multiplication shifted;
    shifted.bias = 0.5f;
    Gated more(false, shifted);
    more.network.output(more.project());
    CHECK(cpu_steps(more.network, image_and_gate).back() == Layers{"convolution4"});
    CHECK(exact(more.network, image_and_gate));
}

TEST(fused_sums_are_rounded_twice) {
    // 2049 is not a half: the convolution gives 2048, and 2048 + 2 + 1 rounds to 2052 in one step, to 2050 in
    // two.
    Network network;
    const ValueId input = network.input({any, 1, 1, 2}), other = network.input({any, 1, 1, 1});
    const ValueId y = network.graph.add_node("sum", pointwise(1), {input});
    network.graph.set_weight("sum", "weight", engine::WeightTensor::from_floats({1, 1, 1, 2}, {1, 1}));
    network.output(network.add(ops::Addition{}, {y, other}));
    const Arrays inputs{{{1, 1, 1, 2}, {2048, 1}}, {{1, 1, 1, 1}, {2}}};
    CHECK(computed_together(network, shapes_of(inputs), {"sum", "add3"}));
    const auto backend = cpu::make_cpu_backend();
    CHECK(run(*backend, network.graph, inputs, Precision::float16)[0].values == std::vector<float>{2050});
    CHECK(run(*backend, network.graph, inputs, Precision::float32)[0].values == std::vector<float>{2051});
}

TEST(zero_padding_joins_the_convolution_behind_it) {
    for (std::int64_t groups : {1, 12}) {
        Network network;
        const ValueId input = network.input({any, any, any, 12});
        const ValueId padded = network.add(ops::Padding{0, 1, 2, 3}, {input});
        network.output(
            network.add(convolution(24, window(3, 2, ops::PaddingPolicy::valid), groups), {padded}));
        CHECK(computed_together(network, image, {"padding1", "convolution2"}));
        CHECK(exact(network, image));
    }
}

TEST(zero_padding_adds_to_the_padding_of_the_window) {
    for (std::int64_t border : {1, 4, 9})
        for (std::int64_t groups : {1, 12}) {
            Network network;
            const ValueId input = network.input({any, any, any, 12});
            const ValueId padded = network.add(ops::Padding{border, border, border, 0}, {input});
            network.output(network.add(convolution(12, window(3, 2), groups), {padded}));
            CHECK(computed_together(network, image, {"padding1", "convolution2"}));
            CHECK(exact(network, image));
        }
}

TEST(other_padding_stays) {
    const auto joins = [](const ops::Padding &padding, bool wanted_twice, bool is_output) {
        Network network;
        const ValueId padded = network.add(padding, {network.input({any, any, any, 12})});
        network.output(network.add(pointwise(4), {padded}));
        if (wanted_twice) network.output(network.add(pointwise(4), {padded}));
        if (is_output) network.output(padded);
        CHECK(exact(network, image));
        const bool stays = computed_together(network, image, {"padding1"});
        CHECK(stays != computed_together(network, image, {"padding1", "convolution2"}));
        return !stays;
    };
    CHECK(joins({1, 1, 1, 1, 0, 0, 0.0f}, false, false));
    CHECK(!joins({1, 1, 1, 1, 0, 0, 0.5f}, false, false));
    CHECK(!joins({1, 1, 1, 1, 0, 2, 0.0f}, false, false));
    CHECK(!joins({1, 1, 1, 1, 0, 0, 0.0f}, true, false));
    CHECK(!joins({1, 1, 1, 1, 0, 0, 0.0f}, false, true));
}

namespace {

/// A 1x1 image that is broadcast and concatenated, first or last, with `others` images, and a pointwise
/// convolution of the result.
struct BroadcastInput {
    Network network;
    ValueId pixel, broadcast, joined, result;

    explicit BroadcastInput(bool first = true, int others = 1, std::int64_t outputs = 20) {
        pixel = network.input({any, 1, 1, 9});
        const ValueId other = network.input({any, 6, 7, 12});
        broadcast = network.add(ops::Resize{.height = 6, .width = 7}, {pixel});
        std::vector<ValueId> operands(static_cast<std::size_t>(others), other);
        operands.insert(first ? operands.begin() : operands.end(), broadcast);
        joined = network.add(ops::Concatenation{}, operands);
        result = network.add(pointwise(outputs), {joined}, relu6);
        network.output(result);
    }
};

const std::vector<Shape> pixel_and_image{{2, 1, 1, 9}, {2, 6, 7, 12}};

} // namespace

TEST(a_broadcast_1x1_input_is_multiplied_once) {
    for (const int others : {1, 3}) {
        const BroadcastInput made(true, others);
        CHECK(count_kernels(made.network, pixel_and_image, "resize") == 0);
        CHECK(exact(made.network, pixel_and_image));
        CHECK(exact(made.network, {{1, 1, 1, 9}, {1, 6, 7, 12}}));
    }
}

TEST(an_infinite_1x1_input_is_broadcast_as_infinities) {
    Network network;
    const ValueId pixel = network.input({any, 1, 1, 1});
    network.output(network.add(ops::Resize{.height = 2, .width = 3}, {pixel}));
    const float infinity = std::numeric_limits<float>::infinity();
    const auto backend = cpu::make_cpu_backend();
    const Arrays results = run(*backend, network.graph, {{{1, 1, 1, 1}, {infinity}}}, Precision::float32);
    CHECK(results[0].values == std::vector<float>(6, infinity));
}

TEST(a_1x1_input_that_others_see_is_resized) {
    const auto is_resized = [](BroadcastInput made) {
        CHECK(exact(made.network, pixel_and_image));
        return count_kernels(made.network, pixel_and_image, "resize") == 1;
    };
    CHECK(!is_resized(BroadcastInput(true, 1)));
    CHECK(is_resized(BroadcastInput(false, 1)));   // sums would have another order of products
    CHECK(is_resized(BroadcastInput(true, 1, 4))); // few outputs have a separate kernel
    for (const ValueId BroadcastInput::*seen : {&BroadcastInput::broadcast, &BroadcastInput::joined}) {
        BroadcastInput made(true, 1);
        made.network.output(made.*seen);
        CHECK(is_resized(made));
    }
    BroadcastInput with_residual(true, 1);
    const ValueId sum = with_residual.network.add(
        ops::Addition{}, {with_residual.result, with_residual.network.add(pointwise(20), {1})});
    with_residual.network.output(sum);
    CHECK(exact(with_residual.network, pixel_and_image));
}

TEST(operands_of_a_concatenation_are_computed_in_place) {
    for (std::int64_t axis : {-1, 1, 2}) {
        Network network;
        const ValueId input = network.input({any, 6, 7, 12});
        const ValueId a = network.add(pointwise(9), {input}), b = network.add(pointwise(9), {input}, relu);
        const ValueId joined = network.add(ops::Concatenation{axis}, {a, b, a});
        network.output(network.add(convolution(5, window(3)), {joined}));
        // Only the second part, which repeats `a`, needs a copy.
        CHECK(cpu_steps(network, image).size() == 4);
        CHECK(count_kernels(network, image, "copy") == 1);
        CHECK(exact(network, image));
    }
}

TEST(inputs_and_outputs_are_copied_into_a_concatenation) {
    Network network;
    const ValueId input = network.input({any, 6, 7, 12});
    const ValueId a = network.add(pointwise(9), {input});
    network.output(network.add(ops::Concatenation{}, {input, a})).output(a);
    CHECK(cpu_steps(network, image).size() == 2);
    CHECK(exact(network, image));
}

TEST(concatenations_within_concatenations_need_no_copy) {
    // As in a dense block: each layer reads all results so far and appends its own.
    Network network;
    ValueId x = network.add(pointwise(9), {network.input({any, 6, 7, 12})});
    for (int i = 0; i < 3; ++i) {
        const ValueId more = network.add(convolution(5, window(3)), {x}, relu6);
        x = network.add(ops::Concatenation{}, {x, more});
    }
    network.output(x);
    CHECK(cpu_steps(network, image).size() == 4);
    CHECK(cpu_error(network, image) <= 1e-6);
    CHECK(exact(network, image));
}

TEST(residuals_work_within_a_concatenation) {
    Residual r;
    const ValueId sum = r.network.add(ops::Addition{}, {r.x, r.y});
    r.network.output(r.network.add(ops::Concatenation{}, {r.x, sum}));
    CHECK(cpu_steps(r.network, image).size() == 2);
    CHECK(exact(r.network, image));
}

TEST(concatenations_join_any_axis_of_any_rank) {
    for (const Shape &shape : {Shape{2, 5}, Shape{2, 3, 5}, Shape{2, 2, 3, 4, 5}, Shape{2, 2, 3, 2, 2, 3}})
        for (int axis = 1; axis < shape.rank(); ++axis) {
            Network network;
            const ValueId a = network.input(shape.with_batch(any)), b = network.input(shape.with_batch(any));
            const ValueId x = network.add(relu, {a}), y = network.add(relu6, {b});
            network.output(network.add(ops::Concatenation{axis}, {x, b, y}));
            CHECK(exact(network, {shape, shape}));
        }
}

TEST(reshapes_are_views) {
    Network network;
    ValueId x = network.add(pointwise(10), {network.input({any, 6, 7, 12})});
    x = network.add(ops::Reshape{{7, 3, 20}}, {x});
    x = network.add(convolution(6, window(3)), {x}, relu);
    x = network.add(ops::Reshape{{-1}}, {x});
    x = network.add(ops::Reshape{{9, 14}}, {x});
    network.output(network.add(relu6, {x}));
    CHECK(cpu_steps(network, image).size() == 3);
    CHECK(exact(network, image));
}

TEST(reshapes_meet_concatenations_inputs_and_outputs) {
    Network network;
    const ValueId input = network.input({any, 6, 7, 12});
    const ValueId a = network.add(pointwise(10), {input});
    const ValueId view = network.add(ops::Reshape{{6, 7, 10}}, {a});
    const ValueId joined = network.add(ops::Concatenation{}, {a, view, input});
    const ValueId flat = network.add(ops::Reshape{{-1}}, {joined});
    network.output(flat)
        .output(view)
        .output(a)
        .output(network.add(ops::Reshape{{-1}}, {input}))
        .output(joined);
    CHECK(exact(network, image));
}

TEST(a_global_pooling_leads_to_a_dense_layer_through_a_reshape) {
    Network network;
    ValueId x = network.add(pointwise(1030), {network.input({any, 4, 4, 12})}, relu);
    x = network.add(ops::Pooling{ops::PoolingKind::average, {}, false, true}, {x});
    x = network.add(ops::Reshape{{1030}}, {x});
    x = network.add(ops::FullyConnected{11}, {x});
    network.output(network.add(ops::Softmax{}, {x}));
    CHECK(cpu_steps(network, {{3, 4, 4, 12}}).size() == 4);
    CHECK(cpu_error(network, {{3, 4, 4, 12}}) <= 1e-5);
}

TEST(files_have_the_factors_of_merged_normalizations) {
    Network network;
    const ValueId input = network.input({any, 4, 4, 2});
    const ValueId sums = network.add(pointwise(3), {input});
    network.output(network.add(ops::BatchNormalization{0.001f}, {sums}));
    engine::ModelFile model;
    model.graph = engine::canonicalise(network.graph).graph;
    CHECK(model.graph.nodes().size() == 1);
    const std::string content = model.content();
    const auto read = engine::ModelFile::parse(std::as_bytes(std::span(content)), "test");
    const auto &before = model.graph.nodes()[0].weights, &after = read.graph.nodes()[0].weights;
    for (const char *role : {"weight", "bias"}) CHECK(before.at(role).values() == after.at(role).values());
}
