// mpscnn/metal.h: photos in textures, in the caller's command buffers.
#include "metal_header_photo_check.h"

using namespace header_test;
using c_api_test::refused;

CLEAN_TEST(a_frame_goes_through_a_network_in_one_command_buffer) {
    const auto bytes = bytes_of(9 * 7 * 4);
    const auto graph = one_convolution();
    id<MTLCommandQueue> queue = owned([device() newCommandQueue]);
    const auto program = mpscnn::compile(graph, nil, queue, {.precision = "float32"});
    auto session = program.session();
    MPSImage *input = image_of(input_shape, float_format);
    MPSImage *output = image_of({1, 4, 5, 6}, float_format);
    id<MTLCommandBuffer> commands = [queue commandBuffer];
    mpscnn::preprocess(commands, texture_of(MTLPixelFormatBGRA8Unorm, 9, 7, bytes), nil, settings, input,
                       {.orientation = 6, .ignore_alpha = true});
    mpscnn::encode(session, commands, [NSArray arrayWithObject:input], [NSArray arrayWithObject:output]);
    finish(commands);

    const auto prepared = on_the_processor(mpscnn::ImageView(bytes.data(), 9, 7, MPSCNN_BGRX8, 0, 6));
    CHECK(alike(values_of(input), prepared, 1e-4f));
    CHECK(alike(values_of(output), right_answers(graph, "float32", prepared, input_shape)[0], 1e-2f));
}

CLEAN_TEST(planes_of_a_video_frame) {
    const auto luma = bytes_of(9 * 7), chroma = bytes_of(5 * 4 * 2);
    MPSImage *input = image_of({3, 4, 5, 3}, half_format);
    id<MTLCommandBuffer> commands = command_buffer();
    mpscnn::preprocess(commands, texture_of(MTLPixelFormatR8Unorm, 9, 7, luma),
                       texture_of(MTLPixelFormatRG8Unorm, 5, 4, chroma), settings, input,
                       {.orientation = 3, .matrix = MPSCNN_BT709, .range = MPSCNN_FULL_RANGE}, 2);
    finish(commands);
    const auto expected = on_the_processor(
        mpscnn::ImageView::nv12(luma.data(), chroma.data(), 9, 7,
                                {.matrix = MPSCNN_BT709, .range = MPSCNN_FULL_RANGE, .orientation = 3}));
    std::vector<std::uint16_t> halves(expected.size());
    [input readBytes:halves.data() dataLayout:MPSDataLayoutHeightxWidthxFeatureChannels imageIndex:2];
    std::vector<float> found(expected.size());
    mpscnn::floats_from_halves(halves, found);
    CHECK(alike(found, expected, 5.0f / 2048)); // values below 8 round to halves by less
}

CLEAN_TEST(frames_of_one_size_share_what_was_computed_for_the_first) {
    const auto bytes = bytes_of(9 * 7 * 4);
    const auto program = mpscnn::compile(one_convolution(), device(), nil, {.precision = "float32"});
    MPSImage *input = image_of(input_shape, float_format);
    id<MTLTexture> frame = texture_of(MTLPixelFormatBGRA8Unorm, 9, 7, bytes);
    const auto made_by = [&](const mpscnn::TextureOptions &options) {
        const long before = metal_emulation_get("buffers_made");
        id<MTLCommandBuffer> commands = command_buffer(); // each one uses another queue
        mpscnn::preprocess(commands, frame, nil, settings, input, options);
        finish(commands);
        return metal_emulation_get("buffers_made") - before;
    };
    CHECK(made_by({}) == 2);
    CHECK(made_by({}) == 0);
    CHECK(made_by({.orientation = 2}) == 2); // a mirrored photo of the same size needs other tables
    CHECK(alike(values_of(input), on_the_processor(mpscnn::ImageView(bytes.data(), 9, 7, MPSCNN_BGRA8, 0, 2)),
                1e-4f));
    CHECK(made_by({}) == 0);
    for (int orientation = 3; orientation <= 8; ++orientation)
        CHECK(made_by({.orientation = orientation}) == 2);
    CHECK(made_by({}) == 0); // the tables of all eight samplings are still cached
    CHECK(made_by({.ignore_alpha = true}) == 0);
    CHECK(alike(values_of(input), on_the_processor(mpscnn::ImageView(bytes.data(), 9, 7, MPSCNN_BGRX8)),
                1e-4f));
}

CLEAN_TEST(tables_of_the_last_eight_samplings_are_kept) {
    const auto program = mpscnn::compile(one_convolution(), device(), nil, {.precision = "float32"});
    MPSImage *input = image_of(input_shape, float_format);
    const auto made_by = [&](NSUInteger width) {
        const long before = metal_emulation_get("buffers_made");
        id<MTLCommandBuffer> commands = command_buffer();
        mpscnn::preprocess(commands, texture_of(MTLPixelFormatR8Unorm, width, 2, bytes_of(width * 2)), nil,
                           settings, input);
        finish(commands);
        return metal_emulation_get("buffers_made") - before;
    };
    for (NSUInteger width = 1; width <= 9; ++width) CHECK(made_by(width) == 2);
    CHECK(made_by(9) == 0 && made_by(2) == 0);
    CHECK(made_by(1) == 2 && made_by(3) == 2);
}

CLEAN_TEST(photos_that_do_not_fit_are_refused) {
    const auto bytes = bytes_of(8 * 6 * 4);
    id<MTLTexture> pixels = texture_of(MTLPixelFormatRGBA8Unorm, 8, 6, bytes);
    id<MTLTexture> luma = texture_of(MTLPixelFormatR8Unorm, 8, 6, bytes_of(48));
    id<MTLTexture> chroma = texture_of(MTLPixelFormatRG8Unorm, 4, 3, bytes_of(24));
    MPSImage *input = image_of(input_shape, float_format), *gray = image_of({1, 4, 5, 1}, float_format);
    id<MTLCommandBuffer> commands = command_buffer();
    mpscnn_metal_photo_options options{};
    options.size = sizeof options;
    const auto run = [&](id<MTLTexture> first, id<MTLTexture> second, const char *description,
                         MPSImage *destination, int image = 0) {
        return mpscnn_metal_preprocess(commands, first, second, &options, description, destination, image);
    };
    CHECK(refused(mpscnn_metal_preprocess(nil, pixels, nil, nullptr, settings, input, 0),
                  MPSCNN_ERROR_PARAMETER, "command buffer must not be nil"));
    CHECK(refused(run(nil, nil, settings, input), MPSCNN_ERROR_PARAMETER, "the texture is nil"));
    CHECK(refused(run(pixels, nil, settings, nil), MPSCNN_ERROR_PARAMETER, "destination is nil"));
    CHECK(refused(run(pixels, nil, nullptr, input), MPSCNN_ERROR_PARAMETER, "preprocess"));
    CHECK(refused(run(pixels, nil, "\"mnist\"", gray), MPSCNN_ERROR_UNSUPPORTED, "'digit'"));
    CHECK(refused(run(pixels, nil, settings, gray), MPSCNN_ERROR_SHAPE, "1 feature channels"));
    CHECK(refused(run(pixels, nil, settings, input, 1), MPSCNN_ERROR_PARAMETER, "no number 1"));
    CHECK(refused(run(luma, pixels, settings, input), MPSCNN_ERROR_PARAMETER, "RG8Unorm"));
    MPSImage *read_only = image_of(input_shape, float_format, MTLTextureUsageShaderRead);
    CHECK(refused(run(pixels, nil, settings, read_only), MPSCNN_ERROR_PARAMETER, "usage must have"));
    CHECK(refused(run([input texture], nil, settings, input), MPSCNN_ERROR_PARAMETER, "are one texture"));
    MPSTemporaryImage *read =
        [MPSTemporaryImage temporaryImageWithCommandBuffer:commands
                                           imageDescriptor:describe(5, 4, 3, MTLStorageModePrivate)];
    [read setReadCount:0];
    CHECK(refused(run(pixels, nil, settings, read), MPSCNN_ERROR_STATE, "read count is 0"));
    MPSImage *without_memory = image_of(input_shape, float_format);
    metal_emulation_set("fail_textures", 1);
    CHECK(refused(run(pixels, nil, settings, without_memory), MPSCNN_ERROR_DEVICE, "cannot allocate"));
    metal_emulation_set("fail_textures", 0);
    options.matrix = 2;
    CHECK(refused(run(luma, chroma, settings, input), MPSCNN_ERROR_PARAMETER, "matrix number 2"));
    options.size = 1;
    CHECK(refused(run(luma, chroma, settings, input), MPSCNN_ERROR_PARAMETER,
                  "sizeof(mpscnn_metal_photo_options)"));
    finish(commands);
    options = {};
    options.size = sizeof options;
    CHECK(refused(run(pixels, nil, settings, input), MPSCNN_ERROR_STATE, "committed"));
}

CLEAN_TEST(each_thing_that_metal_cannot_make_is_an_error_and_leaves_nothing) {
    id<MTLTexture> pixels = texture_of(MTLPixelFormatRGBA8Unorm, 8, 6, bytes_of(8 * 6 * 4));
    const auto run = [&] {
        MPSImage *input = image_of(input_shape, float_format);
        id<MTLCommandBuffer> commands = command_buffer();
        const auto status = mpscnn_metal_preprocess(commands, pixels, nil, nullptr, settings, input, 0);
        finish(commands); // nothing was encoded, so it can still be used
        return status;
    };
    for (const char *made :
         {"fail_buffers", "fail_textures", "fail_functions", "fail_pipelines", "fail_encoders"}) {
        int failures = 0;
        for (bool done = false; !done; ++failures) {
            metal_emulation_set("successes_first", failures);
            metal_emulation_set(made, 1);
            const auto status = run();
            done = metal_emulation_get(made) != 0; // all allocations have succeeded
            CHECK(done ? status == MPSCNN_OK : refused(status, MPSCNN_ERROR_DEVICE, "Metal"));
            metal_emulation_set(made, 0);
            metal_emulation_set("successes_first", 0);
        }
        CHECK(failures > 1);
    }
}
