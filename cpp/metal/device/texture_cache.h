#pragma once

#include <cstddef>
#include <memory>
#include <mutex>

#include "metal/device/objc_ptr.h"

#import <CoreVideo/CoreVideo.h>
#import <Metal/Metal.h>

namespace mpscnn::metal {

/// A reference of Core Foundation's that is given back when the last owner goes.
template <class Object, class Release> std::shared_ptr<void> kept(Object object, Release release) {
    return {nullptr, [object, release](void *) { release(object); }};
}

/// A texture in a pixel buffer's memory.
struct BufferTexture {
    id<MTLTexture> texture = nil;
    std::shared_ptr<void> held; ///< until the GPU has read it, as must be the pixel buffer
};

/// Core Video's textures for a device. May be used from several threads.
class TextureCache {
public:
    explicit TextureCache(const objc_ptr<id<MTLDevice>> &device) : device_(device) {}

    /// Of a plane in an IOSurface; without a texture where Core Video refuses.
    BufferTexture texture_of(CVPixelBufferRef buffer, MTLPixelFormat format, std::size_t width,
                             std::size_t height, std::size_t plane);

private:
    objc_ptr<id<MTLDevice>> device_;
    std::mutex mutex_;
    CVMetalTextureCacheRef cache_ = nullptr;
    std::shared_ptr<void> owner_; // of the cache
};

} // namespace mpscnn::metal
