// Tests of every operation and its parameters, in networks of one layer, on the CPU engine.

#include "tests/cpp/check.h"
#include "tests/engine/small_network.h"

using namespace small;
using ops::NeuronKind;
using ops::PaddingPolicy;

namespace {

constexpr std::int64_t any = Shape::any;

/// A network of one operation on images of `channels` channels.
Network one(const ops::Operation &operation, std::int64_t channels,
            std::optional<ops::Neuron> activation = std::nullopt) {
    Network network;
    const ValueId input = network.input({any, any, any, channels});
    return network.output(network.add(operation, {input}, activation));
}

} // namespace

TEST(convolutions_have_every_window) {
    for (std::int64_t kernel : {1, 2, 3, 5})
        for (std::int64_t stride : {1, 2, 3})
            for (std::int64_t dilation : {1, 2})
                for (PaddingPolicy padding :
                     {PaddingPolicy::valid, PaddingPolicy::same, PaddingPolicy::full}) {
                    const ops::Window w = window(kernel, stride, padding, dilation);
                    CHECK(cpu_error(one(convolution(7, w), 5), {{2, 11, 13, 5}}) == 0);
                    CHECK(cpu_error(one(convolution(12, w, 12), 12), {{2, 11, 13, 12}}) == 0);
                }
}

TEST(convolutions_take_explicit_padding_and_ceil_mode) {
    ops::Window w = window(3, 2, PaddingPolicy::explicit_);
    w.pad_top = 2, w.pad_left = 1, w.pad_right = 3, w.pad_bottom = 0;
    for (bool ceil_mode : {false, true}) {
        w.ceil_mode = ceil_mode;
        CHECK(cpu_error(one(convolution(20, w), 3), {{1, 9, 12, 3}}) == 0);
        CHECK(cpu_error(one(convolution(8, w, 8), 8), {{1, 9, 12, 8}}) == 0);
    }
}

TEST(convolutions_have_groups_and_channel_multipliers) {
    CHECK(cpu_error(one(convolution(12, window(3), 3), 6), {{2, 7, 6, 6}}) == 0);
    CHECK(cpu_error(one(convolution(36, window(1), 2), 40), {{2, 7, 6, 40}}) == 0);
    CHECK(cpu_error(one(convolution(27, window(3, 2), 9), 9), {{2, 7, 6, 9}}) == 0);
}

TEST(pointwise_convolutions_of_many_shapes) {
    for (std::int64_t inputs : {1, 3, 16, 33})
        for (std::int64_t outputs : {1, 8, 17, 64}) {
            const Network network = one(convolution(outputs, window(1)), inputs);
            CHECK(cpu_error(network, {{1, 1, 1, inputs}}) == 0);
            CHECK(cpu_error(network, {{3, 7, 5, inputs}}) == 0);
        }
}

TEST(pixel_pitches_of_2048_bytes_are_avoided_without_harm) {
    Network network;
    ValueId x = network.input({any, any, any, 8});
    x = network.add(convolution(512, window(1)), {x}, relu);
    x = network.add(convolution(512, window(3), 512), {x});
    network.output(network.add(convolution(8, window(1)), {x}));
    CHECK(cpu_error(network, {{2, 4, 4, 8}}) == 0);
}

TEST(every_activation_can_be_attached_or_stand_alone) {
    for (const ops::Neuron &neuron :
         {ops::Neuron{NeuronKind::none, 0, 0}, ops::Neuron{NeuronKind::relu, 0, 0},
          ops::Neuron{NeuronKind::relu, 0.25f, 0}, ops::Neuron{NeuronKind::relu, -1, 0},
          ops::Neuron{NeuronKind::linear, 0.5f, -3}, ops::Neuron{NeuronKind::relun, 0, 6},
          ops::Neuron{NeuronKind::relun, 0.125f, 1}, ops::Neuron{NeuronKind::relun, 0, -1},
          ops::Neuron{NeuronKind::prelu, 0, 0}})
        for (Precision precision : {Precision::float32, Precision::float16}) {
            CHECK(cpu_error(one(convolution(11, window(3)), 4, neuron), {{1, 5, 6, 4}}, precision) == 0);
            CHECK(cpu_error(one(convolution(13, window(3), 13), 13, neuron), {{1, 5, 6, 13}}, precision) ==
                  0);
            CHECK(cpu_error(one(neuron, 11), {{2, 5, 6, 11}}, precision) == 0);
        }
}

TEST(poolings_have_every_window) {
    for (ops::PoolingKind kind : {ops::PoolingKind::max, ops::PoolingKind::average})
        for (std::int64_t kernel : {2, 3})
            for (std::int64_t stride : {1, 2, 3})
                for (PaddingPolicy padding : {PaddingPolicy::valid, PaddingPolicy::same})
                    for (bool count_padding : {false, true}) {
                        const Network network =
                            one(ops::Pooling{kind, window(kernel, stride, padding), count_padding}, 9);
                        CHECK(cpu_error(network, {{2, 7, 8, 9}}) <= 1e-6);
                    }
}

TEST(a_ceil_mode_overhang_is_not_counted_but_padding_is) {
    ops::Window w = window(3, 2, PaddingPolicy::explicit_);
    w.pad_top = w.pad_left = w.pad_right = w.pad_bottom = 1;
    w.ceil_mode = true;
    for (bool count_padding : {false, true}) {
        const Network network = one(ops::Pooling{ops::PoolingKind::average, w, count_padding}, 5);
        CHECK(cpu_error(network, {{1, 8, 10, 5}}) <= 1e-6);
    }
}

TEST(global_poolings_see_the_whole_image) {
    for (ops::PoolingKind kind : {ops::PoolingKind::max, ops::PoolingKind::average})
        CHECK(cpu_error(one(ops::Pooling{kind, {}, false, true}, 20), {{3, 7, 7, 20}}) <= 1e-6);
}

TEST(resizes_have_every_alignment) {
    for (ops::ResizeKind kind : {ops::ResizeKind::nearest, ops::ResizeKind::bilinear})
        for (auto alignment : {ops::ResizeAlignment::half_pixel, ops::ResizeAlignment::corners,
                               ops::ResizeAlignment::asymmetric})
            for (std::int64_t size : {1, 3, 8, 13}) {
                const Network network = one(ops::Resize{kind, alignment, size, size + 1, 1, 1}, 5);
                CHECK(cpu_error(network, {{2, 6, 5, 5}}) <= 1e-5);
            }
}

TEST(paddings_have_any_border_and_value) {
    const Network network = one(ops::Padding{1, 2, 3, 0, 2, 1, 0.25f}, 5);
    CHECK(cpu_error(network, {{2, 3, 4, 5}}) == 0);
    CHECK(cpu_error(network, {{2, 3, 4, 5}}, Precision::float16) == 0);
}

TEST(batch_normalization_stands_alone) {
    CHECK(cpu_error(one(ops::BatchNormalization{0.001f}, 19), {{2, 3, 4, 19}}) <= 1e-6);
    CHECK(cpu_error(one(ops::BatchNormalization{0.001f}, 19, relu6), {{2, 3, 4, 19}}) <= 1e-6);
}

TEST(softmax_works_on_images_and_vectors) {
    CHECK(cpu_error(one(ops::Softmax{}, 10), {{2, 3, 4, 10}}) <= 1e-6);
    Network network;
    network.output(network.add(ops::Softmax{}, {network.input({any, 1001})}));
    CHECK(cpu_error(network, {{3, 1001}}) <= 1e-6);
}

TEST(additions_take_any_rank) {
    for (const Shape &shape : {Shape{2, 7}, Shape{2, 3, 7}, Shape{2, 3, 4, 7}, Shape{2, 3, 4, 5, 7}}) {
        Network network;
        const ValueId a = network.input(shape.with_batch(any)), b = network.input(shape.with_batch(any));
        network.output(network.add(ops::Addition{}, {a, b}, relu));
        CHECK(cpu_error(network, {shape, shape}) == 0);
    }
}

TEST(dense_layers_take_images_in_row_major_order) {
    for (const Shape &shape : {Shape{3, 40}, Shape{3, 1, 1, 40}, Shape{3, 4, 5, 6}, Shape{1, 2, 2, 20}}) {
        Network network;
        const ValueId input = network.input(shape.with_batch(any));
        network.output(network.add(ops::FullyConnected{21}, {input}, relu));
        CHECK(cpu_error(network, {shape}) == 0);
    }
}

TEST(dense_layers_take_images_that_were_computed) {
    Network network;
    ValueId x = network.input({any, 8, 8, 3});
    x = network.add(convolution(20, window(3)), {x}, relu);
    x = network.add(ops::Pooling{ops::PoolingKind::max, window(2, 2, PaddingPolicy::valid)}, {x});
    network.output(network.add(ops::FullyConnected{10}, {x}));
    CHECK(cpu_error(network, {{2, 8, 8, 3}}) == 0);
}
