// mpscnn/metal.h: networks in the caller's command buffers, on the caller's images.
#include "metal_header_check.h"

#include "docs_example.h"
#include "tests/cpp/c_api.h"

#include <atomic>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <thread>

using namespace header_test;

namespace {

const Shape image_shape{2, 4, 5, 3};
const std::vector<float> image_values = quarters(elements_of(image_shape), 1);

mpscnn::Program compile(const mpscnn::Graph &graph, id<MTLCommandQueue> queue,
                        const std::string &precision = "float32") {
    return mpscnn::compile(graph, nil, queue, {.precision = precision});
}

/// Check that all outputs equal those of the CPU engine, rounded if the caller's image holds halves.
void check_answers(NSArray *outputs, const std::vector<std::vector<float>> &right) {
    CHECK([outputs count] == right.size());
    for (NSUInteger i = 0; i < [outputs count]; ++i) {
        MPSImage *image = [outputs objectAtIndex:i];
        const bool is_half = [image featureChannelFormat] == half_format;
        CHECK(values_of(image) == (is_half ? as_halves(right[i]) : right[i]));
    }
}

float max_difference(const std::vector<std::vector<float>> &a, const std::vector<std::vector<float>> &b) {
    float largest = 0.0f;
    for (std::size_t i = 0; i < a.size(); ++i)
        for (std::size_t j = 0; j < a[i].size(); ++j)
            largest = std::max(largest, std::abs(a[i][j] - b[i][j]));
    return largest;
}

/// Return the bytes of a texture with 8 bits per component.
std::vector<std::uint8_t> bytes_of(id<MTLTexture> texture) {
    std::vector<std::uint8_t> bytes(4 * [texture width] * [texture height]);
    [texture getBytes:bytes.data()
          bytesPerRow:4 * [texture width]
        bytesPerImage:0
           fromRegion:MTLRegionMake3D(0, 0, 0, [texture width], [texture height], 1)
          mipmapLevel:0
                slice:0];
    return bytes;
}

id<MTLTexture> byte_texture(MTLPixelFormat format, NSUInteger height, NSUInteger width,
                            const std::vector<std::uint8_t> &bytes) {
    MTLTextureDescriptor *descriptor = [MTLTextureDescriptor texture2DDescriptorWithPixelFormat:format
                                                                                          width:width
                                                                                         height:height
                                                                                      mipmapped:NO];
    [descriptor setUsage:MTLTextureUsageShaderRead | MTLTextureUsageShaderWrite];
    id<MTLTexture> texture = owned([device() newTextureWithDescriptor:descriptor]);
    [texture replaceRegion:MTLRegionMake3D(0, 0, 0, width, height, 1)
               mipmapLevel:0
                 withBytes:bytes.data()
               bytesPerRow:4 * width];
    return texture;
}

} // namespace

// This is the first test in this process that uses the device, so the device is checked during it.
CLEAN_TEST(runs_go_to_the_callers_queue) {
    id<MTLCommandQueue> queue = new_queue();
    id<MTLCommandBuffer> first = [queue commandBuffer];
    [first enqueue]; // blocks the command buffers after it on the queue
    const auto program = compile(one_convolution(), queue);
    auto session = program.session();
    const auto right = right_answers(one_convolution(), "float32", image_values, image_shape);
    std::vector<float> result(right[0].size());
    const mpscnn_tensor input = mpscnn::tensor(image_values.data(), image_shape),
                        output = mpscnn::tensor(result.data(), Shape{2, 4, 5, 6});
    auto request = session.submit({&input, 1}, {&output, 1});
    CHECK(!request.wait_for(0.05));
    [first commit];
    request.wait();
    CHECK(result == right[0]);
}

CLEAN_TEST(every_end_has_the_answers_of_the_cpu) {
    id<MTLCommandQueue> queue = new_queue();
    for (const char *precision : {"float32", "float16"}) {
        const auto right = right_answers(several_ends(), precision, image_values, image_shape);
        const auto program = compile(several_ends(), queue, precision);
        const std::size_t arena_bytes = program.plan({&image_shape, 1}).arena_bytes;
        auto session = program.session();
        for (const auto input_format : {half_format, float_format})
            for (const auto output_format : {half_format, float_format}) {
                NSArray *inputs = list(filled_image(image_shape, input_format, image_values));
                NSArray *outputs =
                    list(image_of({2, 4, 5, 9}, output_format), image_of(image_shape, output_format),
                         image_of({2, 4, 5, 6}, output_format), image_of({2, 1, 1, 7}, output_format));
                id<MTLCommandBuffer> commands = [queue commandBuffer];
                mpscnn::encode(session, commands, inputs, outputs);
                CHECK([commands status] == MTLCommandBufferStatusNotEnqueued);
                CHECK(metal_emulation_get("announced_bytes") == static_cast<long>(arena_bytes));
                finish(commands);
                check_answers(outputs, right);
            }
    }
}

CLEAN_TEST(images_of_the_networks_format_are_not_copied) {
    for (const char *precision : {"float32", "float16"}) {
        const auto program = compile(one_convolution(), new_queue(), precision);
        auto session = program.session();
        const bool is_half = precision == std::string("float16");
        MPSImage *fitting = filled_image(image_shape, is_half ? half_format : float_format, image_values),
                 *other = filled_image(image_shape, is_half ? float_format : half_format, image_values);
        NSArray *outputs = output_images(program, list(fitting));
        CHECK([[outputs objectAtIndex:0] featureChannelFormat] == [fitting featureChannelFormat]);
        [[outputs objectAtIndex:0] texture];
        id<MTLCommandBuffer> commands = command_buffer(), failed = command_buffer();
        // A copy needs an image that the network makes.
        metal_emulation_set("fail_textures", 1000);
        mpscnn::encode(session, commands, list(fitting), outputs);
        THROWS(DeviceError, "cannot allocate an image",
               mpscnn::encode(session, failed, list(other), outputs));
        metal_emulation_set("fail_textures", 0);
        finish(commands);
        check_answers(outputs, right_answers(one_convolution(), precision, image_values, image_shape));
    }
}

CLEAN_TEST(it_lies_between_kernels_of_the_callers) {
    const auto program = compile(one_convolution(), new_queue());
    auto session = program.session();
    id<MTLCommandBuffer> commands = command_buffer();
    MPSTemporaryImage *before =
        [MPSTemporaryImage temporaryImageWithCommandBuffer:commands
                                           imageDescriptor:describe(5, 4, 3, MTLStorageModePrivate)];
    const auto encode_neuron = [&](MPSCNNKernel *kernel, MPSImage *source, MPSImage *result) {
        [kernel encodeToCommandBuffer:commands sourceImage:source destinationImage:result];
    };
    const Shape one{1, 4, 5, 3};
    const auto values = quarters(elements_of(one), 1);
    MPSImage *source = filled_image(one, float_format, values),
             *behind = image_of({1, 4, 5, 6}, float_format);
    MPSNNNeuronDescriptor *absolute =
        [MPSNNNeuronDescriptor cnnNeuronDescriptorWithType:MPSCNNNeuronTypeAbsolute];
    MPSCNNNeuron *neuron = owned([[MPSCNNNeuron alloc] initWithDevice:device() neuronDescriptor:absolute]);
    encode_neuron(neuron, source, before);
    MPSTemporaryImage *result =
        [MPSTemporaryImage temporaryImageWithCommandBuffer:commands
                                           imageDescriptor:describe(5, 4, 6, MTLStorageModePrivate)];
    mpscnn::encode(session, commands, list(before), list(result));
    CHECK([before readCount] == 0);
    CHECK([result readCount] == 1);
    encode_neuron(neuron, result, behind);
    finish(commands);
    std::vector<float> positive = values;
    for (float &value : positive) value = std::abs(value);
    auto right = right_answers(one_convolution(), "float32", positive, one);
    for (float &value : right[0]) value = std::abs(value);
    check_answers(list(behind), right);
}

CLEAN_TEST(read_counts_of_temporary_images_go_down_by_one) {
    auto graph = mpscnn::Graph::create("two inputs");
    const auto first = graph.add_input("first", Shape{-1, 2, 2, 4}),
               second = graph.add_input("second", Shape{-1, 2, 2, 4}),
               third = graph.add_input("third", Shape{-1, 2, 2, 4});
    const auto sum = add(graph, "add", "sum", {first, second});
    const auto more = add(graph, "multiply", "more", {first, sum});
    graph.mark_output(more);
    graph.mark_output(third);
    for (const char *precision : {"float32", "float16"}) { // read directly, and copied
        const auto program = compile(graph, new_queue(), precision);
        auto session = program.session();
        id<MTLCommandBuffer> commands = command_buffer();
        MPSTemporaryImage *image = temporary(commands);
        [any_kernel() encodeToCommandBuffer:commands
                                sourceImage:filled_image({1, 2, 2, 4}, float_format, quarters(16, 3))
                           destinationImage:image];
        NSArray *outputs = list(image_of({1, 2, 2, 4}, float_format), image_of({1, 2, 2, 4}, float_format));
        [image setReadCount:2];
        THROWS(StateError, "more inputs than its read count",
               mpscnn::encode(session, commands, list(image, image, image), outputs));
        CHECK([image readCount] == 2);
        [image setReadCount:5];
        mpscnn::encode(session, commands, list(image, image, image), outputs);
        CHECK([image readCount] == 2);
        [image setReadCount:3];
        mpscnn::encode(session, commands, list(image, image, image), outputs);
        CHECK([image readCount] == 0);
        finish(commands);
    }
}

CLEAN_TEST(textures_are_images) {
    auto graph = mpscnn::Graph::create("photo");
    const auto input = graph.add_input("photo", Shape{-1, 4, 5, 3});
    graph.mark_output(add(graph, "neuron", "inverted", {input}, R"({"kind": "linear", "a": -1, "b": 1})"));
    const auto program = compile(graph, new_queue());
    auto session = program.session();
    std::vector<std::uint8_t> pixels(80), inverted(80);
    for (std::size_t i = 0; i < pixels.size(); ++i) {
        pixels[i] = static_cast<std::uint8_t>(i * 37);
        inverted[i] =
            i % 4 == 3 ? 0 : static_cast<std::uint8_t>(255 - pixels[i]); // alpha is not a feature channel
    }
    for (const auto format : {MTLPixelFormatRGBA8Unorm, MTLPixelFormatBGRA8Unorm}) {
        id<MTLTexture> frame = byte_texture(format, 4, 5, pixels),
                       result = byte_texture(format, 4, 5, pixels);
        MPSImage *floats = image_of({1, 4, 5, 3}, float_format);
        id<MTLCommandBuffer> commands = command_buffer();
        mpscnn::encode(session, commands, list(frame), list(result));
        mpscnn::encode(session, commands, list(frame), list(floats));
        finish(commands);
        CHECK(bytes_of(result) == inverted);
        const auto values = values_of(floats);
        const std::size_t red = format == MTLPixelFormatRGBA8Unorm ? 4 : 6; // index of the second pixel's red
        CHECK(std::abs(values[3] - static_cast<float>(inverted[red]) / 255) < 1e-6f);
    }
}

CLEAN_TEST(texture_arrays_hold_batches) {
    MTLTextureDescriptor *descriptor = texture_descriptor();
    [descriptor setTextureType:MTLTextureType2DArray];
    [descriptor setPixelFormat:MTLPixelFormatRGBA32Float];
    [descriptor setWidth:5];
    [descriptor setArrayLength:4]; // two images of two slices
    id<MTLTexture> texture = owned([device() newTextureWithDescriptor:descriptor]);
    MPSImage *input = filled_image(image_shape, float_format, image_values);
    const auto program = compile(one_convolution(), new_queue());
    auto session = program.session();
    id<MTLCommandBuffer> commands = command_buffer();
    mpscnn::encode(session, commands, list(input), list(texture));
    finish(commands);
    MPSImage *result = owned([[MPSImage alloc] initWithTexture:texture featureChannels:6]);
    check_answers(list(result), right_answers(one_convolution(), "float32", image_values, image_shape));
}

CLEAN_TEST(a_batch_may_take_several_passes) {
    // 600 images of five slices do not fit into one texture array.
    auto graph = mpscnn::Graph::create("many");
    const auto input = graph.add_input("image", Shape{-1, 1, 1, 3});
    const auto wide = add_convolution(graph, "wide", input, 3, 20, 1);
    graph.mark_output(add_convolution(graph, "narrow", wide, 20, 2, 1));
    const Shape shape{600, 1, 1, 3};
    const auto values = quarters(1800, 4);
    const auto program = compile(graph, new_queue());
    auto session = program.session();
    NSArray *inputs = list(filled_image(shape, float_format, values)),
            *outputs = output_images(program, inputs);
    id<MTLCommandBuffer> commands = command_buffer();
    mpscnn::encode(session, commands, inputs, outputs);
    finish(commands);
    check_answers(outputs, right_answers(graph, "float32", values, shape));
}

CLEAN_TEST(axes_before_the_last_three_are_rows) {
    auto graph = mpscnn::Graph::create("axes");
    const auto video = graph.add_input("video", Shape{-1, -1, 2, 3, 4}),
               row = graph.add_input("row", Shape{-1, 5, 4}),
               vector = graph.add_input("vector", Shape{-1, 6});
    for (const auto value : {video, row, vector})
        graph.mark_output(add(graph, "neuron",
                              value == video ? "a"
                              : value == row ? "b"
                                             : "c",
                              {value}, R"({"kind": "absolute"})"));
    const auto program = compile(graph, new_queue());
    auto session = program.session();
    NSMutableArray *inputs = [NSMutableArray array];
    std::vector<std::vector<float>> right;
    for (const Shape &shape : {Shape{2, 6, 3, 4}, Shape{2, 1, 5, 4}, Shape{2, 1, 1, 6}}) {
        right.push_back(quarters(elements_of(shape), right.size()));
        [inputs addObject:filled_image(shape, float_format, right.back())];
        for (float &value : right.back()) value = std::abs(value);
    }
    NSArray *outputs = output_images(program, inputs);
    id<MTLCommandBuffer> commands = command_buffer();
    mpscnn::encode(session, commands, inputs, outputs);
    finish(commands);
    check_answers(outputs, right);
    MPSImage *odd = image_of({2, 5, 3, 4}, float_format);
    THROWS(ShapeError, "axes before the last three count as rows",
           mpscnn::encode(session, command_buffer(),
                          list(odd, [inputs objectAtIndex:1], [inputs objectAtIndex:2]), outputs));
    MPSImage *tall = image_of({2, 6, 1, 6}, float_format);
    THROWS(ShapeError, "input 'vector': expected (n, 6)",
           mpscnn::encode(session, command_buffer(),
                          list([inputs objectAtIndex:0], [inputs objectAtIndex:1], tall), outputs));
}

CLEAN_TEST(a_command_buffer_keeps_what_it_needs) {
    NSArray *outputs = nil;
    id<MTLCommandBuffer> commands = command_buffer();
    {
        const auto program = compile(several_ends(), new_queue());
        auto session = program.session();
        NSArray *inputs = list(filled_image(image_shape, float_format, image_values));
        outputs = output_images(program, inputs);
        mpscnn::encode(session, commands, inputs, outputs);
        mpscnn::encode(session, command_buffer(), inputs, outputs); // this one is never committed
    }
    finish(commands);
    check_answers(outputs, right_answers(several_ends(), "float32", image_values, image_shape));
}

CLEAN_TEST(failures_are_the_command_buffers) {
    const auto program = compile(several_ends(), new_queue());
    auto session = program.session();
    NSArray *inputs = list(filled_image(image_shape, float_format, image_values));
    NSArray *outputs = output_images(program, inputs);
    id<MTLCommandBuffer> failed = command_buffer(), commands = command_buffer();
    mpscnn::encode(session, failed, inputs, outputs);
    metal_emulation_set("command_buffer_error", MTLCommandBufferErrorOutOfMemory);
    finish(failed);
    CHECK([failed status] == MTLCommandBufferStatusError);
    mpscnn::encode(session, commands, inputs, outputs);
    finish(commands);
    check_answers(outputs, right_answers(several_ends(), "float32", image_values, image_shape));

    id<MTLCommandBuffer> lost = command_buffer();
    mpscnn::encode(session, lost, inputs, outputs);
    metal_emulation_set("command_buffer_error", MTLCommandBufferErrorDeviceRemoved);
    finish(lost);
    THROWS(DeviceError, "was removed", mpscnn::encode(session, command_buffer(), inputs, outputs));
}

CLEAN_TEST(encoding_that_fails_half_way_leaves_nothing) {
    const auto program = compile(several_ends(), new_queue());
    auto session = program.session();
    MPSImage *source = filled_image({1, 4, 5, 3}, float_format, quarters(60, 1));
    NSArray *outputs = output_images(program, list(source));
    for (MPSImage *image in outputs) [image texture];
    int failures = 0;
    for (bool done = false; !done; ++failures) {
        id<MTLCommandBuffer> commands = command_buffer();
        MPSTemporaryImage *image =
            [MPSTemporaryImage temporaryImageWithCommandBuffer:commands
                                               imageDescriptor:describe(5, 4, 3, MTLStorageModePrivate)];
        [any_kernel() encodeToCommandBuffer:commands sourceImage:source destinationImage:image];
        [image setReadCount:2];
        metal_emulation_set("successes_first", failures);
        metal_emulation_set("fail_textures", 1);
        try {
            mpscnn::encode(session, commands, list(image), outputs);
            done = true;
        } catch (const mpscnn::DeviceError &) {
            CHECK([image readCount] == 1);
        }
        metal_emulation_set("successes_first", 0);
        metal_emulation_set("fail_textures", 0);
        [image setReadCount:0];
    }
    CHECK(failures > 3);
}

CLEAN_TEST(queues_of_one_device_serve_one_program) {
    // Two command buffers in flight, on queues that Metal does not order. The graphs have steps with arrays.
    const std::vector<float> other_values = quarters(image_values.size(), 5);
    NSArray *inputs = list(filled_image(image_shape, float_format, image_values));
    for (const auto make : {several_ends, recurrent_end}) {
        const auto program = mpscnn::compile(make(), device(), nil, {.precision = "float32"});
        auto session = program.session();
        const auto right = answers_of(program, image_values, image_shape);
        const auto other_right = answers_of(program, other_values, image_shape);
        CHECK(right != other_right);
        CHECK(max_difference(right, right_answers(make(), "float32", image_values, image_shape)) < 1e-5f);
        const std::vector<Shape> shapes = program.plan({&image_shape, 1}).outputs;
        for (int i = 0; i < 10; ++i) {
            std::vector<std::vector<float>> results = right;
            std::vector<mpscnn_tensor> tensors;
            for (std::size_t j = 0; j < shapes.size(); ++j)
                tensors.push_back(mpscnn::tensor(results[j].data(), shapes[j]));
            const mpscnn_tensor input = mpscnn::tensor(other_values.data(), image_shape);
            NSArray *outputs = output_images(program, inputs);
            id<MTLCommandBuffer> commands = command_buffer();
            const long made = metal_emulation_get("buffers_made");
            mpscnn::encode(session, commands, inputs, outputs);
            CHECK(metal_emulation_get("buffers_made") > made); // the queues share no arrays
            auto request = session.submit({&input, 1}, tensors);
            finish(commands);
            request.wait();
            check_answers(outputs, right);
            CHECK(results == other_right);
        }
    }
}

CLEAN_TEST(a_session_serves_one_caller) {
    const auto program = compile(one_convolution(), new_queue());
    auto session = program.session({.inflight = 1});
    NSArray *inputs = list(filled_image(image_shape, float_format, image_values));
    NSArray *outputs = output_images(program, inputs);
    std::vector<float> result(240);
    const mpscnn_tensor input = mpscnn::tensor(image_values.data(), image_shape),
                        output = mpscnn::tensor(result.data(), Shape{2, 4, 5, 6});
    metal_emulation_set("worker_delay_ms", 1000000);
    std::atomic<bool> has_run = false;
    std::thread other([&] {
        while (!has_run) {
            try {
                session.run({&input, 1}, {&output, 1});
                has_run = true;
            } catch (const mpscnn::StateError &) { // the encoding below came first
            }
        }
    });
    bool refused = false;
    while (!refused && !has_run) {
        const Pool pool;
        try {
            mpscnn::encode(session, command_buffer(), inputs, outputs); // never committed
        } catch (const mpscnn::StateError &error) {
            refused = std::string(error.what()).find("one caller at a time") != std::string::npos;
        }
    }
    metal_emulation_set("worker_delay_ms", 0);
    other.join();
    CHECK(refused);
}

CLEAN_TEST(the_example_of_the_documentation_works) {
    id<MTLCommandQueue> queue = new_queue();
    const char *file = "metal_header_test.safetensors"; // class c gets 10 times the mean of channel c
    std::ofstream(file, std::ios::binary) << c_api_test::model_bytes();
    const auto program = compile_model(file, queue);
    std::remove(file);
    auto session = program.session();
    std::vector<std::uint8_t> pixels(4 * 64, 255);
    for (std::size_t i = 0; i < 32; ++i) pixels[4 * i] = 0; // half of all blue values
    id<MTLTexture> frame = byte_texture(MTLPixelFormatBGRA8Unorm, 8, 8, pixels);
    id<MTLCommandBuffer> commands = [queue commandBuffer];
    MPSImage *scores = owned(encode_scores(session, program, commands, frame));
    finish(commands);
    CHECK([scores featureChannelFormat] == half_format);
    CHECK(values_of(scores) == std::vector<float>{10, 10, 5});
}
