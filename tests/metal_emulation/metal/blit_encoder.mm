#import "metal/encoder.h"

#import "metal/pixel_format.h"

#include <cstring>

using namespace metal_emulation;

namespace {

/// A rectangle of a texture, as rows of bytes.
struct Rows {
    unsigned char *first;
    std::size_t stride;
    std::size_t bytes;
    std::size_t count;
};

void copy_rows(const Rows &from, const Rows &to) {
    for (std::size_t y = 0; y < from.count; ++y)
        std::memmove(to.first + y * to.stride, from.first + y * from.stride, from.bytes);
}

} // namespace

@implementation EmulatedBlitEncoder

- (BOOL)acceptsRegionOf:(EmulatedTexture *)texture
                  slice:(NSUInteger)slice
                  level:(NSUInteger)level
                 origin:(MTLOrigin)origin
                   size:(MTLSize)size {
    return METAL_EXPECT(texture, "a copy of no texture") &&
           METAL_EXPECT(level == 0, "a copy of mipmap level %lu", level) &&
           METAL_EXPECT(slice < [texture arrayLength] && origin.x + size.width <= [texture width] &&
                            origin.y + size.height <= [texture height] && origin.z == 0 && size.depth == 1 &&
                            size.width && size.height,
                        "a copy of a region that is empty or not within the texture");
}

- (Rows)rowsOf:(EmulatedTexture *)texture
         slice:(NSUInteger)slice
        origin:(MTLOrigin)origin
          size:(MTLSize)size {
    const msl::TextureView &view = *[texture view];
    const std::size_t pixel = view.row_bytes / view.width;
    return {view.pixels + slice * view.slice_bytes + origin.y * view.row_bytes + origin.x * pixel,
            view.row_bytes, size.width * pixel, size.height};
}

- (BOOL)acceptsRowsOf:(EmulatedBuffer *)buffer
               offset:(NSUInteger)offset
          bytesPerRow:(NSUInteger)bytesPerRow
                 rows:(const Rows &)rows {
    return METAL_EXPECT(buffer, "a copy of no buffer") &&
           METAL_EXPECT(bytesPerRow >= rows.bytes || rows.count == 1,
                        "a copy with rows of %lu bytes that overlap", bytesPerRow) &&
           METAL_EXPECT(offset + (rows.count - 1) * bytesPerRow + rows.bytes <= [buffer length],
                        "a copy behind a buffer's end");
}

- (void)synchronizeResource:(id<MTLResource>)resource {
    if (![self accepts:"synchronizeResource:"] ||
        !METAL_EXPECT([resource storageMode] == MTLStorageModeManaged,
                      "synchronizeResource: of a resource without managed storage"))
        return;
    auto *managed = static_cast<EmulatedResource *>(resource);
    [commandBuffer_ useResource:managed written:NO];
    [commandBuffer_ append:[managed] { [managed synchronize]; }];
}

- (void)synchronizeTexture:(id<MTLTexture>)texture slice:(NSUInteger)slice level:(NSUInteger)level {
    METAL_EXPECT(slice < [texture arrayLength] && level == 0,
                 "synchronizeTexture: of a slice that is not there");
    [self synchronizeResource:texture];
}

- (void)copyFromTexture:(id<MTLTexture>)sourceTexture
            sourceSlice:(NSUInteger)sourceSlice
            sourceLevel:(NSUInteger)sourceLevel
           sourceOrigin:(MTLOrigin)sourceOrigin
             sourceSize:(MTLSize)sourceSize
              toTexture:(id<MTLTexture>)destinationTexture
       destinationSlice:(NSUInteger)destinationSlice
       destinationLevel:(NSUInteger)destinationLevel
      destinationOrigin:(MTLOrigin)destinationOrigin {
    auto *source = static_cast<EmulatedTexture *>(sourceTexture);
    auto *destination = static_cast<EmulatedTexture *>(destinationTexture);
    if (![self accepts:"copyFromTexture:"] ||
        ![self acceptsRegionOf:source
                         slice:sourceSlice
                         level:sourceLevel
                        origin:sourceOrigin
                          size:sourceSize] ||
        ![self acceptsRegionOf:destination
                         slice:destinationSlice
                         level:destinationLevel
                        origin:destinationOrigin
                          size:sourceSize] ||
        !METAL_EXPECT([source pixelFormat] == [destination pixelFormat],
                      "copyFromTexture: between different pixel formats"))
        return;
    [commandBuffer_ useResource:source written:NO];
    [commandBuffer_ useResource:destination written:YES];
    const Rows from = [self rowsOf:source slice:sourceSlice origin:sourceOrigin size:sourceSize];
    const Rows to = [self rowsOf:destination slice:destinationSlice origin:destinationOrigin size:sourceSize];
    [commandBuffer_ append:[from, to] { copy_rows(from, to); }];
}

- (void)copyFromBuffer:(id<MTLBuffer>)sourceBuffer
           sourceOffset:(NSUInteger)sourceOffset
      sourceBytesPerRow:(NSUInteger)sourceBytesPerRow
    sourceBytesPerImage:(NSUInteger)sourceBytesPerImage
             sourceSize:(MTLSize)sourceSize
              toTexture:(id<MTLTexture>)destinationTexture
       destinationSlice:(NSUInteger)destinationSlice
       destinationLevel:(NSUInteger)destinationLevel
      destinationOrigin:(MTLOrigin)destinationOrigin {
    (void)sourceBytesPerImage; // not needed for one image: depth is 1
    auto *source = static_cast<EmulatedBuffer *>(sourceBuffer);
    auto *destination = static_cast<EmulatedTexture *>(destinationTexture);
    if (![self accepts:"copyFromBuffer:"] || ![self acceptsRegionOf:destination
                                                              slice:destinationSlice
                                                              level:destinationLevel
                                                             origin:destinationOrigin
                                                               size:sourceSize])
        return;
    const Rows to = [self rowsOf:destination slice:destinationSlice origin:destinationOrigin size:sourceSize];
    if (![self acceptsRowsOf:source offset:sourceOffset bytesPerRow:sourceBytesPerRow rows:to]) return;
    [commandBuffer_ useResource:source written:NO];
    [commandBuffer_ useResource:destination written:YES];
    const Rows from{[source deviceBytes] + sourceOffset, sourceBytesPerRow, to.bytes, to.count};
    [commandBuffer_ append:[from, to] { copy_rows(from, to); }];
}

- (void)copyFromTexture:(id<MTLTexture>)sourceTexture
                 sourceSlice:(NSUInteger)sourceSlice
                 sourceLevel:(NSUInteger)sourceLevel
                sourceOrigin:(MTLOrigin)sourceOrigin
                  sourceSize:(MTLSize)sourceSize
                    toBuffer:(id<MTLBuffer>)destinationBuffer
           destinationOffset:(NSUInteger)destinationOffset
      destinationBytesPerRow:(NSUInteger)destinationBytesPerRow
    destinationBytesPerImage:(NSUInteger)destinationBytesPerImage {
    (void)destinationBytesPerImage; // not needed for one image: depth is 1
    auto *source = static_cast<EmulatedTexture *>(sourceTexture);
    auto *destination = static_cast<EmulatedBuffer *>(destinationBuffer);
    if (![self accepts:"copyFromTexture:"] || ![self acceptsRegionOf:source
                                                               slice:sourceSlice
                                                               level:sourceLevel
                                                              origin:sourceOrigin
                                                                size:sourceSize])
        return;
    const Rows from = [self rowsOf:source slice:sourceSlice origin:sourceOrigin size:sourceSize];
    if (![self acceptsRowsOf:destination
                      offset:destinationOffset
                 bytesPerRow:destinationBytesPerRow
                        rows:from])
        return;
    [commandBuffer_ useResource:source written:NO];
    [commandBuffer_ useResource:destination written:YES];
    const Rows to{
        [destination deviceBytes] + destinationOffset, destinationBytesPerRow, from.bytes, from.count};
    [commandBuffer_ append:[from, to] { copy_rows(from, to); }];
}

- (void)fillBuffer:(id<MTLBuffer>)buffer range:(NSRange)range value:(uint8_t)value {
    auto *destination = static_cast<EmulatedBuffer *>(buffer);
    if (![self accepts:"fillBuffer:"] ||
        !METAL_EXPECT(range.length > 0 && NSMaxRange(range) <= [buffer length], "fillBuffer: behind its end"))
        return;
    [commandBuffer_ useResource:destination written:YES];
    unsigned char *first = [destination deviceBytes] + range.location;
    [commandBuffer_ append:[first, range, value] { std::memset(first, value, range.length); }];
}

- (void)copyFromBuffer:(id<MTLBuffer>)sourceBuffer
          sourceOffset:(NSUInteger)sourceOffset
              toBuffer:(id<MTLBuffer>)destinationBuffer
     destinationOffset:(NSUInteger)destinationOffset
                  size:(NSUInteger)size {
    auto *source = static_cast<EmulatedBuffer *>(sourceBuffer);
    auto *destination = static_cast<EmulatedBuffer *>(destinationBuffer);
    if (![self accepts:"copyFromBuffer:"] ||
        !METAL_EXPECT(sourceOffset + size <= [source length] &&
                          destinationOffset + size <= [destination length],
                      "copyFromBuffer: behind a buffer's end") ||
        !METAL_EXPECT(sourceOffset % 4 == 0 && destinationOffset % 4 == 0 && size % 4 == 0 && size > 0,
                      "copyFromBuffer: of offsets or a size that are not multiples of 4"))
        return;
    [commandBuffer_ useResource:source written:NO];
    [commandBuffer_ useResource:destination written:YES];
    unsigned char *from = [source deviceBytes] + sourceOffset;
    unsigned char *to = [destination deviceBytes] + destinationOffset;
    [commandBuffer_ append:[from, to, size] { std::memmove(to, from, size); }];
}
@end
