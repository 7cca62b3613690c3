#import "metal/encoder.h"

#include <cstring>

using namespace metal_emulation;

@implementation EmulatedBlitEncoder

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
    switches().copied_bytes += static_cast<long>(size);
    unsigned char *from = [source deviceBytes] + sourceOffset;
    unsigned char *to = [destination deviceBytes] + destinationOffset;
    [commandBuffer_ append:[from, to, size] { std::memmove(to, from, size); }];
}
@end
