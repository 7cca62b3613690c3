// Uses of pixel buffers and their textures that Apple documents as wrong.
#include "emulation_check.h"

#import <CoreVideo/CoreVideo.h>

#include <cstddef>

namespace {

constexpr std::size_t width = 4, height = 3;

CVPixelBufferRef pixel_buffer(bool shared) {
    NSDictionary *surface = @{(id)kCVPixelBufferIOSurfacePropertiesKey : @{}};
    CVPixelBufferRef buffer = nullptr;
    CVPixelBufferCreate(nullptr, width, height, kCVPixelFormatType_32BGRA,
                        shared ? (CFDictionaryRef)surface : nullptr, &buffer);
    return buffer;
}

template <class Action> void with_buffer(Action action) {
    CVPixelBufferRef buffer = pixel_buffer(false);
    action(buffer);
    CVPixelBufferRelease(buffer);
}

void texture_of_buffer(bool shared, std::size_t columns) {
    CVPixelBufferRef buffer = pixel_buffer(shared);
    CVMetalTextureCacheRef cache = nullptr;
    CVMetalTextureRef texture = nullptr;
    CVMetalTextureCacheCreate(nullptr, nullptr, device(), nullptr, &cache);
    CVMetalTextureCacheCreateTextureFromImage(nullptr, cache, buffer, nullptr, MTLPixelFormatBGRA8Unorm,
                                              columns, height, 0, &texture);
    if (texture) CFRelease(texture);
    CFRelease(cache);
    CVPixelBufferRelease(buffer);
}

} // namespace

TEST(locks_of_pixel_buffers) {
    BREAKS("that is not locked",
           with_buffer([](CVPixelBufferRef buffer) { CVPixelBufferGetBaseAddress(buffer); }));
    BREAKS("that is locked is released",
           with_buffer([](CVPixelBufferRef buffer) { CVPixelBufferLockBaseAddress(buffer, 0); }));
    BREAKS("unlocked more often", with_buffer([](CVPixelBufferRef buffer) {
               CVPixelBufferUnlockBaseAddress(buffer, 0);
               CVPixelBufferLockBaseAddress(buffer, 0);
           }));
}

TEST(textures_of_pixel_buffers) {
    BREAKS("without an IOSurface", texture_of_buffer(false, width));
    BREAKS("of another size than its plane", texture_of_buffer(true, width - 1));
}
