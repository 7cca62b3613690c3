// CGImage, and a bitmap context that draws it without scaling. Written from general knowledge of Apple's
// public documentation.
#import <CoreGraphics/CoreGraphics.h>

#include "metal/violations.h"

#include <cstring>

#import "metal/object.h"

using namespace metal_emulation;

const CFStringRef kCGColorSpaceSRGB = (CFStringRef) @"kCGColorSpaceSRGB";

struct CGColorSpace {};
struct CGDataProvider {
    const unsigned char *data;
};
struct CGImage {
    std::size_t width, height, row_bytes;
    bool has_alpha;
    const unsigned char *pixels;
};
struct CGContext {
    unsigned char *pixels;
    std::size_t width, height, row_bytes;
    unsigned char fill[3];
};

namespace {

template <class Object> Object *made(Object *object) {
    object_born("CoreGraphics");
    return object;
}

template <class Object> void release(Object *object) {
    if (!object) return;
    object_died("CoreGraphics");
    delete object;
}

} // namespace

CGColorSpaceRef CGColorSpaceCreateWithName(CFStringRef) { return made(new CGColorSpace); }
void CGColorSpaceRelease(CGColorSpaceRef space) { release(space); }

CGDataProviderRef CGDataProviderCreateWithData(void *, const void *data, std::size_t,
                                               void (*)(void *, const void *, std::size_t)) {
    return made(new CGDataProvider{static_cast<const unsigned char *>(data)});
}
void CGDataProviderRelease(CGDataProviderRef provider) { release(provider); }

CGImageRef CGImageCreate(std::size_t width, std::size_t height, std::size_t bits_per_component,
                         std::size_t bits_per_pixel, std::size_t row_bytes, CGColorSpaceRef,
                         CGBitmapInfo info, CGDataProviderRef provider, const CGFloat *, bool,
                         CGColorRenderingIntent) {
    const auto alpha = static_cast<CGImageAlphaInfo>(info);
    const bool known = alpha == kCGImageAlphaLast || alpha == kCGImageAlphaNoneSkipLast;
    if (!METAL_EXPECT(bits_per_component == 8 && bits_per_pixel == 32 && known,
                      "the emulation has RGBA images only"))
        return nullptr;
    return made(new CGImage{width, height, row_bytes, alpha == kCGImageAlphaLast, provider->data});
}
void CGImageRelease(CGImageRef image) { release(image); }
std::size_t CGImageGetWidth(CGImageRef image) { return image->width; }
std::size_t CGImageGetHeight(CGImageRef image) { return image->height; }

CGContextRef CGBitmapContextCreate(void *data, std::size_t width, std::size_t height,
                                   std::size_t bits_per_component, std::size_t row_bytes,
                                   CGColorSpaceRef space, uint32_t info) {
    if (take_one(switches().fail_buffers)) return nullptr;
    const bool known = info == (static_cast<uint32_t>(kCGImageAlphaNoneSkipLast) | kCGBitmapByteOrder32Big);
    if (!METAL_EXPECT(bits_per_component == 8 && space && known && row_bytes >= 4 * width,
                      "the emulation has contexts of RGBX only"))
        return nullptr;
    return made(new CGContext{static_cast<unsigned char *>(data), width, height, row_bytes, {0, 0, 0}});
}
void CGContextRelease(CGContextRef context) { release(context); }

void CGContextSetRGBFillColor(CGContextRef context, CGFloat red, CGFloat green, CGFloat blue, CGFloat alpha) {
    METAL_EXPECT(alpha == 1, "the emulation fills with opaque colours only");
    const CGFloat colors[] = {red, green, blue};
    for (int i = 0; i < 3; ++i) context->fill[i] = static_cast<unsigned char>(colors[i] * 255 + 0.5);
}

void CGContextFillRect(CGContextRef context, CGRect rect) {
    METAL_EXPECT(rect.origin.x == 0 && rect.origin.y == 0 && rect.size.width == context->width &&
                     rect.size.height == context->height,
                 "the emulation fills whole contexts only");
    for (std::size_t y = 0; y < context->height; ++y)
        for (std::size_t x = 0; x < context->width; ++x)
            std::memcpy(context->pixels + y * context->row_bytes + 4 * x, context->fill, 3);
}

void CGContextDrawImage(CGContextRef context, CGRect rect, CGImageRef image) {
    METAL_EXPECT(rect.origin.x == 0 && rect.origin.y == 0 && rect.size.width == image->width &&
                     rect.size.height == image->height && image->width == context->width &&
                     image->height == context->height,
                 "the emulation draws images without scaling only");
    for (std::size_t y = 0; y < image->height; ++y)
        for (std::size_t x = 0; x < image->width; ++x) {
            const unsigned char *from = image->pixels + y * image->row_bytes + 4 * x;
            unsigned char *to = context->pixels + y * context->row_bytes + 4 * x;
            const int alpha = image->has_alpha ? from[3] : 255;
            for (int i = 0; i < 3; ++i)
                to[i] = static_cast<unsigned char>((from[i] * alpha + to[i] * (255 - alpha) + 127) / 255);
        }
}
