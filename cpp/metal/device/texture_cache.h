#pragma once

#include <cstddef>
#include <memory>
#include <mutex>

#include "metal/device/objc_ptr.h"

#import <CoreVideo/CoreVideo.h>
#import <Metal/Metal.h>

namespace mpscnn::metal {

/// Own a Core Foundation reference, which is released with the last owner.
template <class Object, class Release> std::shared_ptr<void> kept(Object object, Release release) {
    return {nullptr, [object, release](void *) { release(object); }};
}

/// A texture that uses a pixel buffer's memory.
struct BufferTexture {
    id<MTLTexture> texture = nil;
    std::shared_ptr<void> held; ///< must be kept, like the pixel buffer, until the GPU has read the texture
};

/// Makes textures of pixel buffers with Core Video's texture cache. Several threads may use it.
class TextureCache {
public:
    explicit TextureCache(const objc_ptr<id<MTLDevice>> &device) : device_(device) {}

    /// Return a texture of a plane in an IOSurface; it is null if Core Video refuses.
    BufferTexture texture_of(CVPixelBufferRef buffer, MTLPixelFormat format, std::size_t width,
                             std::size_t height, std::size_t plane);

private:
    objc_ptr<id<MTLDevice>> device_;
    std::mutex mutex_;
    CVMetalTextureCacheRef cache_ = nullptr;
    std::shared_ptr<void> owner_; // keeps the cache alive
};

} // namespace mpscnn::metal
