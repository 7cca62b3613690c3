#include "metal/encoding/native_photo.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/json.h"
#include "metal/device/device.h"
#include "metal/device/exceptions.h"
#include "metal/device/objc_ptr.h"
#include "metal/encoding/encoding.h"
#include "metal/encoding/preprocess.h"

#import <CoreGraphics/CoreGraphics.h>
#import <CoreVideo/CoreVideo.h>
#import <Metal/Metal.h>

namespace mpscnn::metal {

int feature_channels_of(void *image) {
    if (!image) fail(ErrorKind::parameter, "preprocess: the destination is nil");
    return static_cast<int>([static_cast<MPSImage *>(image) featureChannels]);
}

void encode_native_photo(void *commands, const NativePhoto &photo, const vision::Preprocess &options,
                         void *destination, std::int64_t image) {
    with_framework_errors([&] {
        const autorelease_scope pool;
        auto command_buffer = static_cast<id<MTLCommandBuffer>>(commands);
        require_command_buffer(command_buffer);
        const PhotoTextures textures{static_cast<id<MTLTexture>>(photo.pixels),
                                     static_cast<id<MTLTexture>>(photo.chroma),
                                     photo.has_alpha,
                                     photo.orientation,
                                     photo.matrix,
                                     photo.range,
                                     photo.siting};
        const auto device = Device::of([command_buffer device], [command_buffer commandQueue]);
        device->require_usable();
        encode_preprocess(command_buffer, *device, textures, options, static_cast<MPSImage *>(destination),
                          image);
    });
}

namespace {

constexpr std::size_t max_pixels_per_axis = 16384; // the largest width and height of a texture on every Mac

/// Return the four characters of a format: "'420v'".
std::string name_of(OSType format) {
    std::string name;
    for (int shift = 24; shift >= 0; shift -= 8) {
        const char letter = static_cast<char>(format >> shift & 0xff);
        name += letter >= ' ' && letter <= '~' ? letter : '?';
    }
    return quoted(name);
}

void require_extents(const std::string &what, std::size_t width, std::size_t height) {
    if (width == 0 || height == 0 || width > max_pixels_per_axis || height > max_pixels_per_axis)
        fail(ErrorKind::shape, {what, " of ", width, " x ", height, " pixels, expected 1 to ",
                                max_pixels_per_axis, " along each side"});
}

/// Return a new autoreleased texture with a copy of these pixels.
id<MTLTexture> copied_texture(id<MTLDevice> device, MTLPixelFormat format, std::size_t width,
                              std::size_t height, const void *pixels, std::size_t row_bytes) {
    MTLTextureDescriptor *descriptor = [MTLTextureDescriptor texture2DDescriptorWithPixelFormat:format
                                                                                          width:width
                                                                                         height:height
                                                                                      mipmapped:NO];
    [descriptor setUsage:MTLTextureUsageShaderRead];
    id<MTLTexture> texture = [[device newTextureWithDescriptor:descriptor] autorelease];
    if (!texture) fail(ErrorKind::device, "Metal gives no texture for a photo");
    [texture replaceRegion:MTLRegionMake3D(0, 0, 0, width, height, 1)
               mipmapLevel:0
                 withBytes:pixels
               bytesPerRow:row_bytes];
    return texture;
}

// ---- Pixel buffers -------------------------------------------------------------------------------------

void require_success(CVReturn result, const char *what) {
    if (result != kCVReturnSuccess) fail(ErrorKind::device, {"pixel buffer: ", what, " (code ", result, ")"});
}

class Locked {
public:
    explicit Locked(CVPixelBufferRef buffer) : buffer_(buffer) {
        require_success(CVPixelBufferLockBaseAddress(buffer, kCVPixelBufferLock_ReadOnly),
                        "its memory cannot be locked");
    }
    ~Locked() { CVPixelBufferUnlockBaseAddress(buffer_, kCVPixelBufferLock_ReadOnly); }
    Locked(const Locked &) = delete;
    Locked &operator=(const Locked &) = delete;

private:
    CVPixelBufferRef buffer_;
};

/// Describes how a pixel format is read. `chroma` is invalid if the format has a single plane.
struct BufferFormat {
    MTLPixelFormat pixels, chroma;
    vision::YuvRange range;
};

BufferFormat format_of(CVPixelBufferRef buffer) {
    const OSType format = CVPixelBufferGetPixelFormatType(buffer);
    switch (format) {
    case kCVPixelFormatType_32BGRA:
        return {MTLPixelFormatBGRA8Unorm, MTLPixelFormatInvalid, vision::YuvRange::full};
    case kCVPixelFormatType_420YpCbCr8BiPlanarVideoRange:
        return {MTLPixelFormatR8Unorm, MTLPixelFormatRG8Unorm, vision::YuvRange::video};
    case kCVPixelFormatType_420YpCbCr8BiPlanarFullRange:
        return {MTLPixelFormatR8Unorm, MTLPixelFormatRG8Unorm, vision::YuvRange::full};
    default:
        fail(ErrorKind::unsupported,
             {"pixel buffer: the format ", name_of(format), " is not one of 'BGRA', '420v', '420f'"});
    }
}

/// Return the matrix that is attached to the buffer, or the caller's choice.
vision::YuvMatrix matrix_of(CVPixelBufferRef buffer, vision::YuvMatrix otherwise) {
    const CFTypeRef attached = CVBufferGetAttachment(buffer, kCVImageBufferYCbCrMatrixKey, nullptr);
    if (!attached) return otherwise;
    if (CFEqual(attached, kCVImageBufferYCbCrMatrix_ITU_R_601_4)) return vision::YuvMatrix::bt601;
    if (CFEqual(attached, kCVImageBufferYCbCrMatrix_ITU_R_709_2)) return vision::YuvMatrix::bt709;
    fail(ErrorKind::unsupported,
         "pixel buffer: the matrix that is attached to it is neither ITU_R_601_4 nor ITU_R_709_2");
}

/// The planes of a pixel buffer as textures. They use the memory of an IOSurface if there is one, and are
/// copies otherwise.
class BufferTextures {
public:
    BufferTextures(CVPixelBufferRef buffer, Device &device)
        : buffer_(buffer), device_(device), in_surface_(CVPixelBufferGetIOSurface(buffer) != nullptr) {}

    /// Return the texture of a plane; a buffer without planes counts as plane 0.
    id<MTLTexture> texture(MTLPixelFormat format, std::size_t width, std::size_t height, std::size_t plane,
                           bool planar) {
        require_extents("pixel buffer", width, height);
        if (in_surface_) {
            BufferTexture found = device_.textures().texture_of(buffer_, format, width, height, plane);
            if (found.texture) {
                held_.push_back(kept(CVPixelBufferRetain(buffer_), CVPixelBufferRelease));
                held_.push_back(std::move(found.held));
                return found.texture;
            }
        }
        return copied(format, width, height, plane, planar);
    }

    /// Let the command buffer keep the textures' memory until it completes.
    void hold_until_completed(id<MTLCommandBuffer> command_buffer) {
        if (held_.empty()) return;
        const auto held = std::make_shared<std::vector<std::shared_ptr<void>>>(std::move(held_));
        [command_buffer addCompletedHandler:^(id<MTLCommandBuffer>) {
          (void)held; // `held` is captured so that its destructor runs with the block's
        }];
    }

private:
    id<MTLTexture> copied(MTLPixelFormat format, std::size_t width, std::size_t height, std::size_t plane,
                          bool planar) const {
        const Locked locked(buffer_);
        return planar ? copied_texture(device_.get(), format, width, height,
                                       CVPixelBufferGetBaseAddressOfPlane(buffer_, plane),
                                       CVPixelBufferGetBytesPerRowOfPlane(buffer_, plane))
                      : copied_texture(device_.get(), format, width, height,
                                       CVPixelBufferGetBaseAddress(buffer_),
                                       CVPixelBufferGetBytesPerRow(buffer_));
    }

    CVPixelBufferRef buffer_;
    Device &device_;
    bool in_surface_;
    std::vector<std::shared_ptr<void>> held_;
};

// ---- Images --------------------------------------------------------------------------------------------

/// Return RGBX pixels in sRGB; transparent pixels are drawn on white.
std::vector<std::uint8_t> drawn(CGImageRef image, std::size_t width, std::size_t height) {
    std::vector<std::uint8_t> pixels(4 * width * height);
    CGColorSpaceRef space = CGColorSpaceCreateWithName(kCGColorSpaceSRGB);
    const auto held_space = kept(space, CGColorSpaceRelease);
    CGContextRef context = CGBitmapContextCreate(pixels.data(), width, height, 8, 4 * width, space,
                                                 static_cast<std::uint32_t>(kCGImageAlphaNoneSkipLast) |
                                                     kCGBitmapByteOrder32Big);
    if (!context) fail(ErrorKind::device, "image: Core Graphics gives no context to draw it in");
    const auto held_context = kept(context, CGContextRelease);
    const CGRect all = CGRectMake(0, 0, static_cast<CGFloat>(width), static_cast<CGFloat>(height));
    CGContextSetRGBFillColor(context, 1, 1, 1, 1);
    CGContextFillRect(context, all);
    CGContextDrawImage(context, all, image);
    return pixels;
}

} // namespace

void encode_pixel_buffer(void *commands, void *pixel_buffer, NativePhoto photo,
                         const vision::Preprocess &options, void *destination, std::int64_t image) {
    with_framework_errors([&] {
        const autorelease_scope pool;
        auto command_buffer = static_cast<id<MTLCommandBuffer>>(commands);
        require_command_buffer(command_buffer);
        if (!pixel_buffer) fail(ErrorKind::parameter, "pixel buffer: it is nil");
        auto buffer = static_cast<CVPixelBufferRef>(pixel_buffer);
        const BufferFormat format = format_of(buffer);
        const auto device = Device::of([command_buffer device], [command_buffer commandQueue]);
        BufferTextures textures(buffer, *device);
        const bool planar = format.chroma != MTLPixelFormatInvalid;
        photo.pixels = textures.texture(format.pixels, CVPixelBufferGetWidth(buffer),
                                        CVPixelBufferGetHeight(buffer), 0, planar);
        if (planar) {
            photo.chroma = textures.texture(format.chroma, CVPixelBufferGetWidthOfPlane(buffer, 1),
                                            CVPixelBufferGetHeightOfPlane(buffer, 1), 1, true);
            photo.range = format.range;
            photo.matrix = matrix_of(buffer, photo.matrix);
        }
        encode_native_photo(command_buffer, photo, options, destination, image);
        textures.hold_until_completed(command_buffer);
    });
}

void encode_drawn_image(void *commands, void *drawn_image, NativePhoto photo,
                        const vision::Preprocess &options, void *destination, std::int64_t image) {
    with_framework_errors([&] {
        const autorelease_scope pool;
        auto command_buffer = static_cast<id<MTLCommandBuffer>>(commands);
        require_command_buffer(command_buffer);
        if (!drawn_image) fail(ErrorKind::parameter, "image: it is nil");
        auto source = static_cast<CGImageRef>(drawn_image);
        const std::size_t width = CGImageGetWidth(source), height = CGImageGetHeight(source);
        require_extents("image", width, height);
        const std::vector<std::uint8_t> pixels = drawn(source, width, height);
        photo.pixels = copied_texture([command_buffer device], MTLPixelFormatRGBA8Unorm, width, height,
                                      pixels.data(), 4 * width);
        photo.has_alpha = false;
        encode_native_photo(command_buffer, photo, options, destination, image);
    });
}

} // namespace mpscnn::metal
