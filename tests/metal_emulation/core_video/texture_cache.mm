// CVMetalTextureCache: textures in the memory of an IOSurface. Written from general knowledge of Apple's
// public documentation.
#import "core_video/surface.h"

#import <CoreVideo/CoreVideo.h>

#import "metal/resource.h"

using namespace metal_emulation;

/// A texture whose pixels are the surface's.
@interface SurfaceTexture : EmulatedTexture {
@private
    msl::TextureView surface_view_;
}
- (instancetype)initWithDevice:(id<MTLDevice>)device
                    descriptor:(MTLTextureDescriptor *)descriptor
                        pixels:(unsigned char *)pixels
                      rowBytes:(std::size_t)row_bytes;
@end

@implementation SurfaceTexture
- (instancetype)initWithDevice:(id<MTLDevice>)device
                    descriptor:(MTLTextureDescriptor *)descriptor
                        pixels:(unsigned char *)pixels
                      rowBytes:(std::size_t)row_bytes {
    self = [super initWithDevice:device descriptor:descriptor];
    surface_view_ = *[super view];
    surface_view_.pixels = pixels;
    surface_view_.row_bytes = row_bytes;
    surface_view_.slice_bytes = row_bytes * surface_view_.height;
    return self;
}
- (const msl::TextureView *)view {
    return &surface_view_;
}
@end

@interface EmulatedTextureCache : EmulatedObject {
@public
    id<MTLDevice> device_;
    NSMutableArray *textures_; // textures made since the last flush, and those that were in use then
}
@end

@implementation EmulatedTextureCache
- (void)dealloc {
    [textures_ release];
    [super dealloc];
}
@end

@interface EmulatedMetalTexture : EmulatedObject {
@public
    id<MTLTexture> texture_;
}
@end

@implementation EmulatedMetalTexture
- (void)dealloc {
    [texture_ release];
    [super dealloc];
}
@end

CVReturn CVMetalTextureCacheCreate(CFAllocatorRef, CFDictionaryRef, id<MTLDevice> device, CFDictionaryRef,
                                   CVMetalTextureCacheRef *out) {
    if (take_one(switches().fail_texture_caches)) return kCVReturnError;
    ++switches().texture_caches_made;
    auto *cache = [[EmulatedTextureCache alloc] init];
    cache->device_ = device;
    cache->textures_ = [[NSMutableArray alloc] init];
    *out = reinterpret_cast<CVMetalTextureCacheRef>(cache);
    return kCVReturnSuccess;
}

CVReturn CVMetalTextureCacheCreateTextureFromImage(CFAllocatorRef, CVMetalTextureCacheRef cache,
                                                   CVImageBufferRef image, CFDictionaryRef,
                                                   MTLPixelFormat format, std::size_t width,
                                                   std::size_t height, std::size_t plane_index,
                                                   CVMetalTextureRef *out) {
    const IOSurfaceRef surface = CVPixelBufferGetIOSurface(image);
    if (!METAL_EXPECT(surface, "a texture of a pixel buffer without an IOSurface")) return kCVReturnError;
    if (take_one(switches().fail_texture_caches)) return kCVReturnError;
    auto &plane = surface->planes.at(plane_index);
    METAL_EXPECT(plane.width == width && plane.height == height, "a texture of another size than its plane");
    MTLTextureDescriptor *descriptor = [MTLTextureDescriptor texture2DDescriptorWithPixelFormat:format
                                                                                          width:width
                                                                                         height:height
                                                                                      mipmapped:NO];
    [descriptor setUsage:MTLTextureUsageShaderRead];
    auto *made = [[EmulatedMetalTexture alloc] init];
    made->texture_ =
        [[SurfaceTexture alloc] initWithDevice:reinterpret_cast<EmulatedTextureCache *>(cache)->device_
                                    descriptor:descriptor
                                        pixels:surface->memory.data() + plane.begin
                                      rowBytes:plane.row_bytes];
    [reinterpret_cast<EmulatedTextureCache *>(cache)->textures_ addObject:made];
    *out = reinterpret_cast<CVMetalTextureRef>(made);
    return kCVReturnSuccess;
}

void CVMetalTextureCacheFlush(CVMetalTextureCacheRef cache, CVOptionFlags) {
    NSMutableArray *textures = reinterpret_cast<EmulatedTextureCache *>(cache)->textures_;
    for (NSUInteger i = [textures count]; i-- > 0;)
        if ([[textures objectAtIndex:i] retainCount] == 1) [textures removeObjectAtIndex:i];
}

id<MTLTexture> CVMetalTextureGetTexture(CVMetalTextureRef image) {
    return reinterpret_cast<EmulatedMetalTexture *>(image)->texture_;
}
