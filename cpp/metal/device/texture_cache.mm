#include "metal/device/texture_cache.h"

namespace mpscnn::metal {

namespace {

void release(CFTypeRef object) { CFRelease(object); }

} // namespace

BufferTexture TextureCache::texture_of(CVPixelBufferRef buffer, MTLPixelFormat format, std::size_t width,
                                       std::size_t height, std::size_t plane) {
    const std::lock_guard lock(mutex_);
    if (!cache_) {
        CVMetalTextureCacheRef made = nullptr;
        if (CVMetalTextureCacheCreate(nullptr, nullptr, device_.get(), nullptr, &made) != kCVReturnSuccess)
            return {};
        owner_ = kept(made, release);
        cache_ = made;
    }
    CVMetalTextureCacheFlush(cache_, 0); // release textures of frames that the GPU has finished
    CVMetalTextureRef texture = nullptr;
    const CVReturn result = CVMetalTextureCacheCreateTextureFromImage(nullptr, cache_, buffer, nullptr,
                                                                      format, width, height, plane, &texture);
    if (result != kCVReturnSuccess) return {};
    const auto release_texture = [cache = owner_](CVMetalTextureRef held) { release(held); };
    return {CVMetalTextureGetTexture(texture), kept(texture, release_texture)};
}

} // namespace mpscnn::metal
