// Calls that mpscnn/metal.h refuses. They encode nothing, so the command buffer can still be used.
#include "metal_header_check.h"

using namespace header_test;

/// An image that claims to be a part of another one.
@interface PartOfImage : MPSImage
@end

@implementation PartOfImage
- (MPSImage *)parent {
    return self;
}
@end

namespace {

const Shape input_shape{1, 4, 5, 3}, output_shape{1, 4, 5, 6};

id<MTLDevice> second_device() {
    metal_emulation_set("devices", 2);
    NSArray *devices = owned(MTLCopyAllDevices());
    for (id<MTLDevice> other in devices)
        if (other != device()) return other;
    throw std::runtime_error("there is one device only");
}

/// A program with suitable images.
struct Fixture {
    mpscnn::Program program = mpscnn::compile(one_convolution(), device(), nil, {.precision = "float32"});
    mpscnn::Session session{program};
    std::vector<float> values = quarters(60, 1);
    MPSImage *input = filled_image(input_shape, float_format, values),
             *output = image_of(output_shape, float_format);
    id<MTLCommandBuffer> commands = command_buffer();

    void encode(NSArray *inputs, NSArray *outputs) { mpscnn::encode(session, commands, inputs, outputs); }

    void check_that_it_serves_on() {
        encode(list(input), list(output));
        finish(commands);
        CHECK(values_of(output) == right_answers(one_convolution(), "float32", values, input_shape)[0]);
    }
};

id<MTLTexture> texture_of(MTLPixelFormat format, MTLTextureType type = MTLTextureType2D,
                          NSUInteger slices = 1) {
    MTLTextureDescriptor *descriptor = texture_descriptor();
    [descriptor setPixelFormat:format];
    [descriptor setTextureType:type];
    [descriptor setWidth:5];
    [descriptor setArrayLength:slices];
    return owned([device() newTextureWithDescriptor:descriptor]);
}

} // namespace

CLEAN_TEST(lists) {
    Fixture fixture;
    MPSImage *input = fixture.input, *output = fixture.output;
    THROWS(ParameterError, "inputs must not be nil", fixture.encode(nil, list(output)));
    THROWS(ParameterError, "outputs must not be nil", fixture.encode(list(input), nil));
    THROWS(ShapeError, "the network has 1 inputs, got 2 images",
           fixture.encode(list(input, input), list(output)));
    THROWS(ShapeError, "the network has 1 outputs, got 0 images",
           fixture.encode(list(input), [NSArray array]));
    THROWS(ParameterError, "input 'image' must be an MPSImage or an MTLTexture, got an object of class",
           fixture.encode(list(@"image"), list(output)));
    fixture.check_that_it_serves_on();
}

CLEAN_TEST(sizes) {
    Fixture fixture;
    MPSImage *input = fixture.input, *output = fixture.output;
    const auto refuse_input = [&](const Shape &shape, const char *part) {
        THROWS(ShapeError, part, fixture.encode(list(image_of(shape, float_format)), list(output)));
    };
    refuse_input({1, 3, 5, 3}, "input 'image': expected (n, 4, 5, 3), got (1, 3, 5, 3): 4 rows, not 3");
    refuse_input({1, 4, 6, 3}, "5 columns, not 6");
    refuse_input({1, 4, 5, 4}, "3 feature channels, not 4");
    const auto refuse_output = [&](const Shape &shape, const char *given) {
        THROWS(ShapeError, given, fixture.encode(list(input), list(image_of(shape, float_format))));
    };
    refuse_output({2, 4, 5, 6},
                  "output 'result': expected 1 images of 5 x 4 pixels with 6 feature channels, got 2 images");
    refuse_output({1, 4, 5, 8}, "got 1 images of 5 x 4 pixels with 8 feature channels");
    refuse_output({1, 5, 4, 6}, "got 1 images of 4 x 5 pixels");
    fixture.check_that_it_serves_on();
}

CLEAN_TEST(textures) {
    Fixture fixture;
    MPSImage *input = fixture.input;
    THROWS(ParameterError, "input 'image': pixel format 73 is none of",
           fixture.encode(list(texture_of(MTLPixelFormatRGBA8Uint)), list(fixture.output)));
    THROWS(ShapeError, "for 3 feature channels has 4 components in a pixel, got 2",
           fixture.encode(list(texture_of(MTLPixelFormatRG16Float)), list(fixture.output)));
    const auto refuse_output = [&](id<MTLTexture> texture, const char *part) {
        THROWS(ShapeError, part, fixture.encode(list(input), list(texture)));
    };
    refuse_output(
        texture_of(MTLPixelFormatRGBA16Float),
        "6 feature channels have 2 slices of a texture array each, got a texture that is not an array");
    refuse_output(texture_of(MTLPixelFormatRGBA16Float, MTLTextureType2DArray, 3), "got 3 slices");
    refuse_output(texture_of(MTLPixelFormatRGBA16Float, MTLTextureType2DArray, 4),
                  "got 2 images of 5 x 4 pixels");
    fixture.check_that_it_serves_on();
}

CLEAN_TEST(images_that_kernels_cannot_use) {
    Fixture fixture;
    MPSImage *input = fixture.input, *output = fixture.output;
    MPSImage *write_only = image_of(input_shape, float_format, MTLTextureUsageShaderWrite),
             *read_only = image_of(output_shape, float_format, MTLTextureUsageShaderRead);
    THROWS(ParameterError, "input 'image': its usage must have MTLTextureUsageShaderRead",
           fixture.encode(list(write_only), list(output)));
    THROWS(ParameterError, "output 'result': its usage must have MTLTextureUsageShaderWrite",
           fixture.encode(list(input), list(read_only)));
    MPSImage *part = owned([[PartOfImage alloc] initWithDevice:device() imageDescriptor:describe(5, 4, 3)]);
    THROWS(ParameterError, "input 'image': a part of another MPSImage",
           fixture.encode(list(part), list(output)));
    id<MTLDevice> other = second_device();
    MPSImage *elsewhere = image_of(input_shape, float_format, MTLTextureUsageShaderRead, other);
    THROWS(ParameterError, "input 'image' is an image of Metal device 'Emulated external GPU'",
           fixture.encode(list(elsewhere), list(output)));
    MPSTemporaryImage *read =
        [MPSTemporaryImage temporaryImageWithCommandBuffer:fixture.commands
                                           imageDescriptor:describe(5, 4, 3, MTLStorageModePrivate)];
    [read setReadCount:0];
    THROWS(StateError, "input 'image' is a temporary image whose read count is 0",
           fixture.encode(list(read), list(output)));
    MPSImage *without_memory = image_of(output_shape, float_format);
    metal_emulation_set("fail_textures", 1);
    THROWS(DeviceError, "output 'result': Metal cannot allocate its texture",
           fixture.encode(list(input), list(without_memory)));
    fixture.check_that_it_serves_on();
}

CLEAN_TEST(command_buffers) {
    Fixture fixture;
    const auto refuse = [&]<class Exception>(Exception *, id<MTLCommandBuffer> commands, const char *part) {
        header_test::throws<Exception>(
            [&] { mpscnn::encode(fixture.session, commands, list(fixture.input), list(fixture.output)); },
            part, __FILE__, __LINE__);
    };
    refuse(static_cast<mpscnn::ParameterError *>(nullptr), nil, "the command buffer must not be nil");
    id<MTLCommandBuffer> committed = command_buffer();
    finish(committed);
    refuse(static_cast<mpscnn::StateError *>(nullptr), committed, "committed already");
    refuse(static_cast<mpscnn::ParameterError *>(nullptr), [new_queue(second_device()) commandBuffer],
           "the command buffer belongs to Metal device 'Emulated external GPU'");
    fixture.check_that_it_serves_on();
}

TEST(command_buffers_that_retain_nothing) {
    BREAKS("commandBufferWithUnretainedReferences", {
        Fixture fixture;
        THROWS(ParameterError, "must retain what it uses",
               mpscnn::encode(fixture.session, [new_queue() commandBufferWithUnretainedReferences],
                              list(fixture.input), list(fixture.output)));
    });
}

CLEAN_TEST(devices_and_queues) {
    const auto graph = one_convolution();
    THROWS(ParameterError, "device and queue are nil", mpscnn::compile(graph, nil, nil));
    id<MTLDevice> other = second_device();
    THROWS(ParameterError,
           "queue belongs to Metal device 'Emulated external GPU' (0x100000def), not to the given",
           mpscnn::compile(graph, device(), new_queue(other)));
    THROWS(ParameterError, "options.device must be NULL, auto or metal",
           mpscnn::compile(graph, device(), nil, {.device = "cpu"}));
    THROWS(ParameterError, "precision must be", mpscnn::compile(graph, device(), nil, {.precision = "int4"}));
    THROWS(UnsupportedError, "the CPU computes in int8",
           mpscnn::compile(graph, device(), nil, {.precision = "int8"}));
    const std::string described = mpscnn::compile(graph, other, nil).describe();
    CHECK(described.find("Emulated external GPU") != std::string::npos);
    CHECK(described.find("the Metal device that was given") != std::string::npos);
    metal_emulation_set("unsupported_device", 1);
    THROWS(DeviceError, "cannot run Metal Performance Shaders", mpscnn::compile(graph, nil, new_queue()));
}

CLEAN_TEST(programs_of_the_processor) {
    const auto program = one_convolution().compile({.device = "cpu"});
    auto session = program.session({.threads = 1});
    Fixture fixture;
    THROWS(UnsupportedError, "a network on 'cpu'",
           mpscnn::encode(session, fixture.commands, list(fixture.input), list(fixture.output)));
    THROWS(UnsupportedError, "a network on 'cpu'", mpscnn::output_descriptor(program, list(fixture.input)));
}

CLEAN_TEST(outputs_that_are_not_there) {
    Fixture fixture;
    for (const int index : {-1, 1})
        THROWS(ParameterError, "the program has 1",
               mpscnn::output_descriptor(fixture.program, list(fixture.input), index));
    CHECK(mpscnn_metal_output_image(nullptr, list(fixture.input), 0, nullptr) == MPSCNN_ERROR_PARAMETER);
    CHECK(mpscnn_metal_output_image(fixture.program.get(), list(fixture.input), 0, nullptr) ==
          MPSCNN_ERROR_PARAMETER);
    CHECK(mpscnn_metal_session_encode(nullptr, fixture.commands, list(fixture.input), list(fixture.output)) ==
          MPSCNN_ERROR_PARAMETER);
    mpscnn_program *program = nullptr;
    CHECK(mpscnn_metal_program_compile(nullptr, device(), nil, nullptr, &program) == MPSCNN_ERROR_PARAMETER);
    CHECK(mpscnn_metal_program_compile(one_convolution().get(), device(), nil, nullptr, nullptr) ==
          MPSCNN_ERROR_PARAMETER);
}

CLEAN_TEST(core_ml_is_refused_without_python) {
    THROWS(UnsupportedError, "this device can only be used from Python",
           one_convolution().compile({.device = "coreml"}));
    THROWS(DeviceError,
           "Core ML cannot compile /nowhere.mlpackage: ", mpscnn::coreml_compile("/nowhere.mlpackage"));
}
