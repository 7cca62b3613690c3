// Helpers of the tests of mpscnn/metal.h: networks whose numbers are exact in halves and floats, and images
// that a test makes, as a caller of the header does.
#pragma once

#include "tests/cpp/check.h"

#include "tests/metal_emulation/tests/emulation_check.h"

#import <mpscnn/metal.h>

#include <cstring>

namespace header_test {

using mpscnn::Shape;

inline std::size_t elements_of(const Shape &shape) {
    std::size_t elements = 1;
    for (std::int64_t extent : shape) elements *= static_cast<std::size_t>(extent);
    return elements;
}

/// Return quarters from -1 to 1 in a scrambled order.
inline std::vector<float> quarters(std::size_t count, std::size_t seed) {
    std::vector<float> values(count);
    for (std::size_t i = 0; i < count; ++i)
        values[i] = static_cast<float>((i * 7 + i * i * 3 + seed * 5) % 9) / 4 - 1;
    return values;
}

inline void set_weights(mpscnn::Graph &graph, const std::string &layer, const Shape &shape) {
    const auto weights = quarters(elements_of(shape), layer.size());
    const auto bias = quarters(static_cast<std::size_t>(shape[0]), 2);
    graph.set_weight(layer, "weight", mpscnn::tensor(weights.data(), shape));
    graph.set_weight(layer, "bias", mpscnn::tensor(bias.data(), Shape{shape[0]}));
}

inline mpscnn::Value add(mpscnn::Graph &graph, const char *operation, const char *name,
                         const std::vector<mpscnn::Value> &inputs, const std::string &attributes = {}) {
    return graph.add_node(operation, name, inputs, attributes);
}

inline mpscnn::Value add_convolution(mpscnn::Graph &graph, const char *name, mpscnn::Value input, int inputs,
                                     int outputs, int kernel) {
    const std::string size = std::to_string(kernel);
    const auto value = add(graph, "convolution", name, {input},
                           R"({"output_channels": )" + std::to_string(outputs) + R"(, "padding": "same", )" +
                               R"("kernel_height": )" + size + R"(, "kernel_width": )" + size + "}");
    set_weights(graph, name, {outputs, kernel, kernel, inputs});
    return value;
}

/// A network (n, 4, 5, 3) -> (n, 4, 5, 6) with one MPS kernel.
inline mpscnn::Graph one_convolution() {
    auto graph = mpscnn::Graph::create("one");
    const auto input = graph.add_input("image", Shape{-1, 4, 5, 3});
    graph.mark_output(add_convolution(graph, "result", input, 3, 6, 3));
    return graph;
}

/// A network with several special ends: an input that two layers read, feature channels that share slices, a
/// value that is an output and is read by a layer, an input that is an output, and a result of one pixel.
inline mpscnn::Graph several_ends() {
    auto graph = mpscnn::Graph::create("ends");
    const auto input = graph.add_input("image", Shape{-1, 4, 5, 3});
    const auto wide = add_convolution(graph, "wide", input, 3, 6, 3);
    const auto joined = add(graph, "concatenation", "joined", {input, wide});
    const auto small =
        add(graph, "pooling", "small", {joined}, R"({"kernel_height": 2, "kernel_width": 2, "stride_x": 2})");
    const auto scores = add(graph, "fully_connected", "scores", {small}, R"({"outputs": 7})");
    set_weights(graph, "scores", {7, 3, 2, 9});
    for (const auto value : {joined, input, wide, scores}) graph.mark_output(value);
    return graph;
}

/// Return a graph that ends in a recurrent layer.
inline mpscnn::Graph recurrent_end() {
    auto graph = mpscnn::Graph::create("recurrent");
    const auto input = graph.add_input("image", Shape{-1, 4, 5, 3});
    const auto sums = add_convolution(graph, "sums", input, 3, 8, 1);
    const auto states =
        add(graph, "lstm", "states", {sums},
            R"({"gate": "hard_sigmoid", "gate_a": 0.25, "gate_b": 0.5, "candidate": "linear", )"
            R"("candidate_a": 1, "candidate_b": 0, "output": "linear", "output_a": 1, )"
            R"("output_b": 0})");
    const std::vector<float> weights = quarters(16, 4);
    graph.set_weight("states", "weight", mpscnn::tensor(weights.data(), Shape{8, 2}));
    graph.mark_output(states);
    return graph;
}

/// Return a program's results for one input.
inline std::vector<std::vector<float>> answers_of(const mpscnn::Program &program,
                                                  const std::vector<float> &values, const Shape &shape) {
    const auto planned = program.plan({&shape, 1});
    std::vector<std::vector<float>> results;
    std::vector<mpscnn_tensor> outputs;
    for (const Shape &output : planned.outputs) {
        results.emplace_back(elements_of(output));
        outputs.push_back(mpscnn::tensor(results.back().data(), output));
    }
    const mpscnn_tensor input = mpscnn::tensor(values.data(), shape);
    program.session({.threads = 1}).run({&input, 1}, outputs);
    return results;
}

/// Return the CPU engine's results for one input.
inline std::vector<std::vector<float>> right_answers(const mpscnn::Graph &graph, const std::string &precision,
                                                     const std::vector<float> &values, const Shape &shape) {
    return answers_of(graph.compile({.device = "cpu", .precision = precision}), values, shape);
}

// ---- Images -----------------------------------------------------------------------------------------------

constexpr auto half_format = MPSImageFeatureChannelFormatFloat16;
constexpr auto float_format = MPSImageFeatureChannelFormatFloat32;

/// Return an image with the extents (images, height, width, feature channels).
inline MPSImage *image_of(const Shape &shape, MPSImageFeatureChannelFormat format,
                          MTLTextureUsage usage = MTLTextureUsageShaderRead | MTLTextureUsageShaderWrite,
                          id<MTLDevice> on = device()) {
    MPSImageDescriptor *descriptor =
        [MPSImageDescriptor imageDescriptorWithChannelFormat:format
                                                       width:static_cast<NSUInteger>(shape[2])
                                                      height:static_cast<NSUInteger>(shape[1])
                                             featureChannels:static_cast<NSUInteger>(shape[3])
                                              numberOfImages:static_cast<NSUInteger>(shape[0])
                                                       usage:usage];
    [descriptor setStorageMode:MTLStorageModeShared];
    return owned([[MPSImage alloc] initWithDevice:on imageDescriptor:descriptor]);
}

/// For each image, call copy(index of its first value, number of its values, number of the image).
template <class Copy> void for_each_image(MPSImage *image, std::size_t values, Copy copy) {
    const std::size_t images = [image numberOfImages], size = values / images;
    for (std::size_t i = 0; i < images; ++i) copy(i * size, size, static_cast<NSUInteger>(i));
}

inline MPSImage *filled_image(const Shape &shape, MPSImageFeatureChannelFormat format,
                              const std::vector<float> &values) {
    MPSImage *image = image_of(shape, format);
    std::vector<std::uint16_t> halves(values.size());
    mpscnn::halves_from_floats(values, halves);
    for_each_image(image, values.size(), [&](std::size_t first, std::size_t, NSUInteger index) {
        const void *bytes =
            format == half_format ? static_cast<const void *>(&halves[first]) : &values[first];
        [image writeBytes:bytes dataLayout:MPSDataLayoutHeightxWidthxFeatureChannels imageIndex:index];
    });
    return image;
}

inline std::vector<float> values_of(MPSImage *image) {
    std::vector<float> values([image numberOfImages] * [image width] * [image height] *
                              [image featureChannels]);
    std::vector<std::uint16_t> halves(values.size());
    const bool is_half = [image featureChannelFormat] == half_format;
    for_each_image(image, values.size(), [&](std::size_t first, std::size_t, NSUInteger index) {
        void *bytes = is_half ? static_cast<void *>(&halves[first]) : &values[first];
        [image readBytes:bytes dataLayout:MPSDataLayoutHeightxWidthxFeatureChannels imageIndex:index];
    });
    if (is_half) mpscnn::floats_from_halves(halves, values);
    return values;
}

inline std::vector<float> as_halves(std::vector<float> values) {
    std::vector<std::uint16_t> halves(values.size());
    mpscnn::halves_from_floats(values, halves);
    mpscnn::floats_from_halves(halves, values);
    return values;
}

template <class... Objects> NSArray *list(Objects... objects) {
    NSMutableArray *array = [NSMutableArray array];
    (static_cast<void>([array addObject:objects]), ...);
    return array;
}

/// Return images that the program can write without a copy.
inline NSArray *output_images(const mpscnn::Program &program, NSArray *inputs) {
    NSMutableArray *images = [NSMutableArray array];
    for (int i = 0; i < static_cast<int>(program.outputs().size()); ++i) {
        MPSImageDescriptor *descriptor = mpscnn::output_descriptor(program, inputs, i);
        [descriptor setStorageMode:MTLStorageModeShared];
        [images addObject:owned([[MPSImage alloc] initWithDevice:device() imageDescriptor:descriptor])];
    }
    return images;
}

inline id<MTLCommandQueue> new_queue(id<MTLDevice> on = device()) { return owned([on newCommandQueue]); }

/// Check that the action throws this exception, with these words.
template <class Exception, class Action>
void throws(Action action, std::string_view part, const char *file, int line) {
    try {
        action();
        check::that(false, file, line, part.data(), "nothing was thrown");
    } catch (const Exception &error) {
        check::that(std::string_view(error.what()).find(part) != std::string_view::npos, file, line,
                    part.data(), error.what());
    } catch (const std::exception &error) {
        check::that(false, file, line, "thrown as another class", error.what());
    }
}
#define THROWS(Exception, part, ...)                                                                         \
    header_test::throws<mpscnn::Exception>([&] { static_cast<void>(__VA_ARGS__); }, part, __FILE__, __LINE__)

} // namespace header_test
