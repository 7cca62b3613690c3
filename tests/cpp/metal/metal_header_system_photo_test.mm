// mpscnn/metal.h: pixel buffers of Core Video and images of Core Graphics.
#include "metal_header_photo_check.h"

using namespace header_test;
using c_api_test::refused;

namespace {

constexpr int width = 9, height = 7;

/// Return a buffer that the caller owns, in an IOSurface if `shared`.
CVPixelBufferRef pixel_buffer(OSType format, bool shared,
                              const std::vector<const std::vector<std::uint8_t> *> &planes) {
    NSDictionary *attributes =
        shared ? [NSDictionary dictionaryWithObject:[NSDictionary dictionary]
                                             forKey:(NSString *)kCVPixelBufferIOSurfacePropertiesKey]
               : nil;
    CVPixelBufferRef buffer = nullptr;
    CHECK(CVPixelBufferCreate(nullptr, width, height, format, (CFDictionaryRef)attributes, &buffer) ==
          kCVReturnSuccess);
    CVPixelBufferLockBaseAddress(buffer, 0);
    for (std::size_t i = 0; i < planes.size(); ++i) {
        auto *to = static_cast<std::uint8_t *>(CVPixelBufferGetBaseAddressOfPlane(buffer, i));
        const std::size_t rows = CVPixelBufferGetHeightOfPlane(buffer, i),
                          row_bytes = planes[i]->size() / rows;
        CHECK(CVPixelBufferGetBytesPerRowOfPlane(buffer, i) > row_bytes); // rows have gaps
        for (std::size_t row = 0; row < rows; ++row)
            std::memcpy(to + row * CVPixelBufferGetBytesPerRowOfPlane(buffer, i),
                        planes[i]->data() + row * row_bytes, row_bytes);
    }
    CVPixelBufferUnlockBaseAddress(buffer, 0);
    return buffer;
}

/// Return the photo as the network's input. The photo is released before the GPU reads it.
std::vector<float> read(CVPixelBufferRef buffer, const mpscnn::TextureOptions &options) {
    MPSImage *input = image_of(input_shape, float_format);
    id<MTLCommandBuffer> commands = command_buffer();
    mpscnn::preprocess(commands, buffer, settings, input, options);
    CVPixelBufferRelease(buffer);
    finish(commands);
    return values_of(input);
}

/// Return an image that the caller owns.
CGImageRef image_of_bytes(const std::vector<std::uint8_t> &rgba, CGImageAlphaInfo alpha) {
    CGColorSpaceRef space = CGColorSpaceCreateWithName(kCGColorSpaceSRGB);
    CGDataProviderRef provider = CGDataProviderCreateWithData(nullptr, rgba.data(), rgba.size(), nullptr);
    CGImageRef image = CGImageCreate(width, height, 8, 32, 4 * width, space, static_cast<CGBitmapInfo>(alpha),
                                     provider, nullptr, false, kCGRenderingIntentDefault);
    CGDataProviderRelease(provider);
    CGColorSpaceRelease(space);
    return image;
}

} // namespace

CLEAN_TEST(pixel_buffers_with_one_plane) {
    const auto bytes = bytes_of(width * height * 4);
    for (const bool shared : {true, false})
        for (const bool ignore_alpha : {true, false}) {
            const auto format = ignore_alpha ? MPSCNN_BGRX8 : MPSCNN_BGRA8;
            const auto expected =
                on_the_processor(mpscnn::ImageView(bytes.data(), width, height, format, 0, 6));
            const auto found = read(pixel_buffer(kCVPixelFormatType_32BGRA, shared, {&bytes}),
                                    {.orientation = 6, .ignore_alpha = ignore_alpha});
            CHECK(alike(found, expected, 1e-4f));
        }
}

CLEAN_TEST(pixel_buffers_of_video) {
    const auto luma = bytes_of(width * height), chroma = bytes_of(5 * 4 * 2);
    struct Case {
        OSType format;
        mpscnn_yuv_range range;
        CFStringRef attached;
        mpscnn_yuv_matrix given, matrix;
    };
    const OSType video = kCVPixelFormatType_420YpCbCr8BiPlanarVideoRange,
                 full = kCVPixelFormatType_420YpCbCr8BiPlanarFullRange;
    const Case cases[] = {
        {video, MPSCNN_VIDEO_RANGE, nullptr, MPSCNN_BT709, MPSCNN_BT709},
        {video, MPSCNN_VIDEO_RANGE, kCVImageBufferYCbCrMatrix_ITU_R_601_4, MPSCNN_BT709, MPSCNN_BT601},
        {full, MPSCNN_FULL_RANGE, kCVImageBufferYCbCrMatrix_ITU_R_709_2, MPSCNN_BT601, MPSCNN_BT709},
    };
    for (const Case &one : cases)
        for (const bool shared : {true, false}) {
            CVPixelBufferRef buffer = pixel_buffer(one.format, shared, {&luma, &chroma});
            if (one.attached)
                CVBufferSetAttachment(buffer, kCVImageBufferYCbCrMatrixKey, one.attached,
                                      kCVAttachmentMode_ShouldPropagate);
            const auto expected = on_the_processor(mpscnn::ImageView::nv12(
                luma.data(), chroma.data(), width, height, {.matrix = one.matrix, .range = one.range}));
            CHECK(alike(read(buffer, {.matrix = one.given}), expected, 1e-4f));
        }
}

CLEAN_TEST(a_pixel_buffer_is_read_where_it_lies) {
    const auto before = bytes_of(width * height * 4), after = std::vector<std::uint8_t>(before.size(), 200);
    for (const bool shared : {true, false}) {
        CVPixelBufferRef buffer = pixel_buffer(kCVPixelFormatType_32BGRA, shared, {&before});
        MPSImage *input = image_of(input_shape, float_format);
        id<MTLCommandBuffer> commands = command_buffer();
        mpscnn::preprocess(commands, buffer, settings, input, {.ignore_alpha = true});
        CVPixelBufferLockBaseAddress(buffer, 0);
        for (int row = 0; row < height; ++row)
            std::memset(static_cast<std::uint8_t *>(CVPixelBufferGetBaseAddress(buffer)) +
                            static_cast<std::size_t>(row) * CVPixelBufferGetBytesPerRow(buffer),
                        200, width * 4);
        CVPixelBufferUnlockBaseAddress(buffer, 0);
        finish(commands);
        const auto &seen = shared ? after : before; // without a surface, the copy is made during encoding
        CHECK(alike(values_of(input),
                    on_the_processor(mpscnn::ImageView(seen.data(), width, height, MPSCNN_BGRX8)), 1e-4f));
        CVPixelBufferRelease(buffer);
    }
}

CLEAN_TEST(a_pixel_buffer_is_copied_where_the_texture_cache_refuses_it) {
    const auto luma = bytes_of(width * height), chroma = bytes_of(5 * 4 * 2);
    const auto expected =
        on_the_processor(mpscnn::ImageView::nv12(luma.data(), chroma.data(), width, height, {}));
    const OSType video = kCVPixelFormatType_420YpCbCr8BiPlanarVideoRange;
    // Fail to make the cache itself, the texture of luma, and the texture of chroma.
    for (const long successes : {0, 1, 2}) {
        metal_emulation_set("successes_first", successes);
        metal_emulation_set("fail_texture_caches", 1);
        CHECK(alike(read(pixel_buffer(video, true, {&luma, &chroma}), {}), expected, 1e-4f));
        CHECK(metal_emulation_get("fail_texture_caches") == 0);
    }
}

CLEAN_TEST(one_texture_cache_serves_a_device) {
    const mpscnn::CommandQueue keeps_the_device({.device = "metal"});
    const auto bytes = bytes_of(width * height * 4);
    const long before = metal_emulation_get("texture_caches_made");
    for (int frame = 0; frame < 5; ++frame) {
        const Pool pool;
        read(pixel_buffer(kCVPixelFormatType_32BGRA, true, {&bytes}), {});
        metal_emulation_wait_idle();
    }
    CHECK(metal_emulation_get("texture_caches_made") == before + 1);
    // Textures of finished frames are released when the next frame comes.
    const std::string alive = metal_emulation_live_object_names();
    CHECK(alive.find("EmulatedMetalTexture 1") != std::string::npos);
}

CLEAN_TEST(images_of_core_graphics) {
    const auto bytes = bytes_of(width * height * 4);
    for (const bool opaque : {true, false}) {
        CGImageRef photo = image_of_bytes(bytes, opaque ? kCGImageAlphaNoneSkipLast : kCGImageAlphaLast);
        MPSImage *input = image_of(input_shape, float_format);
        id<MTLCommandBuffer> commands = command_buffer();
        mpscnn::preprocess(commands, photo, settings, input, {.orientation = 8});
        CGImageRelease(photo);
        finish(commands);
        const auto expected = on_the_processor(
            mpscnn::ImageView(bytes.data(), width, height, opaque ? MPSCNN_RGBX8 : MPSCNN_RGBA8, 0, 8));
        // Drawing on white rounds to 8 bits: an error of half a step, times the largest scale.
        CHECK(alike(values_of(input), expected, opaque ? 1e-4f : 0.5f * 0.03f + 1e-4f));
    }
}

CLEAN_TEST(what_core_video_cannot_do_is_refused) {
    const auto bytes = bytes_of(width * height * 4), luma = bytes_of(width * height),
               chroma = bytes_of(5 * 4 * 2);
    MPSImage *input = image_of(input_shape, float_format);
    id<MTLCommandBuffer> commands = command_buffer();
    const auto run = [&](CVPixelBufferRef buffer) {
        const mpscnn_status status =
            mpscnn_metal_preprocess_buffer(commands, buffer, nullptr, settings, input, 0);
        CVPixelBufferRelease(buffer);
        return status;
    };
    CHECK(refused(run(nullptr), MPSCNN_ERROR_PARAMETER, "pixel buffer: it is nil"));
    CHECK(refused(run(pixel_buffer(kCVPixelFormatType_32ARGB, true, {&bytes})), MPSCNN_ERROR_UNSUPPORTED,
                  "the format '??? ' is not one of 'BGRA', '420v', '420f'"));
    CVPixelBufferRef old =
        pixel_buffer(kCVPixelFormatType_420YpCbCr8BiPlanarVideoRange, true, {&luma, &chroma});
    CVBufferSetAttachment(old, kCVImageBufferYCbCrMatrixKey, kCVImageBufferYCbCrMatrix_SMPTE_240M_1995,
                          kCVAttachmentMode_ShouldPropagate);
    CHECK(refused(run(old), MPSCNN_ERROR_UNSUPPORTED, "neither ITU_R_601_4 nor ITU_R_709_2"));
    for (const bool shared : {true, false}) {
        CVPixelBufferRef buffer = pixel_buffer(kCVPixelFormatType_32BGRA, shared, {&bytes});
        metal_emulation_set("fail_texture_caches", 1);
        metal_emulation_set("fail_textures", 1);
        CHECK(refused(run(buffer), MPSCNN_ERROR_DEVICE, "Metal gives no texture"));
        metal_emulation_set("fail_texture_caches", 0);
        metal_emulation_set("fail_textures", 0);
    }
    CVPixelBufferRef locked = pixel_buffer(kCVPixelFormatType_32BGRA, false, {&bytes});
    metal_emulation_set("fail_buffers", 1);
    CHECK(refused(run(locked), MPSCNN_ERROR_DEVICE, "its memory cannot be locked (code -6660)"));

    CGImageRef photo = image_of_bytes(bytes, kCGImageAlphaLast);
    const auto draw = [&](CGImageRef image) {
        return mpscnn_metal_preprocess_image(commands, image, nullptr, settings, input, 0);
    };
    CHECK(refused(draw(nullptr), MPSCNN_ERROR_PARAMETER, "image: it is nil"));
    metal_emulation_set("fail_buffers", 1);
    CHECK(refused(draw(photo), MPSCNN_ERROR_DEVICE, "no context to draw it in"));
    metal_emulation_set("fail_buffers", 0);
    finish(commands);
    CHECK(refused(draw(photo), MPSCNN_ERROR_STATE, "committed"));
    CGImageRelease(photo);
    CHECK(refused(run(pixel_buffer(kCVPixelFormatType_32BGRA, true, {&bytes})), MPSCNN_ERROR_STATE,
                  "committed"));
}
