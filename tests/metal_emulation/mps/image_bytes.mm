// Copies between images and processor memory.
#import "mps/image.h"

#import "metal/pixel_format.h"

#include <algorithm>
#include <cstring>

using namespace metal_emulation;

namespace {

/// Return the value that MPS writes to unused lanes, in the texture's format.
std::vector<unsigned char> unused_lane_bytes(const PixelLayout &layout) {
    switch (layout.type) {
    case msl::ChannelType::float16: {
        const auto value = static_cast<_Float16>(unused_lane);
        const auto *bytes = reinterpret_cast<const unsigned char *>(&value);
        return {bytes, bytes + sizeof value};
    }
    case msl::ChannelType::float32: {
        const auto *bytes = reinterpret_cast<const unsigned char *>(&unused_lane);
        return {bytes, bytes + sizeof unused_lane};
    }
    default:
        return std::vector<unsigned char>(static_cast<std::size_t>(layout.channel_bytes), 0x7f);
    }
}

} // namespace

@implementation MPSImage (Transfer)

- (void)transfer:(unsigned char *)host
      imageIndex:(NSUInteger)imageIndex
         writing:(BOOL)writing
          action:(const char *)action {
    if (!METAL_EXPECT(imageIndex < [self numberOfImages], "%s of image %lu of %lu", action, imageIndex,
                      [self numberOfImages]) ||
        !METAL_EXPECT(![self isKindOfClass:[MPSTemporaryImage class]], "%s of a temporary image", action))
        return;
    const PixelLayout format = *pixel_layout([self pixelFormat]);
    const auto bytes = static_cast<std::size_t>(format.channel_bytes),
               pixel_bytes = static_cast<std::size_t>(format.bytes());
    const std::vector<unsigned char> unused = unused_lane_bytes(format);
    const NSUInteger width = [self width], height = [self height], count = [self featureChannels];
    std::vector<unsigned char> slice_pixels(width * height * pixel_bytes);
    const MTLRegion plane = MTLRegionMake2D(0, 0, width, height);
    for (NSUInteger first = 0; first < count; first += channels_per_slice) {
        const NSUInteger slice = imageIndex * slices_of(count) + first / channels_per_slice;
        if (!writing)
            [[self texture] getBytes:slice_pixels.data()
                         bytesPerRow:width * pixel_bytes
                       bytesPerImage:0
                          fromRegion:plane
                         mipmapLevel:0
                               slice:slice];
        for (NSUInteger pixel = 0; pixel < width * height; ++pixel)
            for (NSUInteger lane = 0; lane < static_cast<NSUInteger>(format.components); ++lane) {
                unsigned char *inside = &slice_pixels[pixel * pixel_bytes + lane * bytes];
                if (first + lane >= count) {
                    if (writing) std::memcpy(inside, unused.data(), bytes);
                    continue;
                }
                unsigned char *outside = host + (pixel * count + first + lane) * bytes;
                std::memcpy(writing ? inside : outside, writing ? outside : inside, bytes);
            }
        if (writing)
            [[self texture] replaceRegion:plane
                              mipmapLevel:0
                                    slice:slice
                                withBytes:slice_pixels.data()
                              bytesPerRow:width * pixel_bytes
                            bytesPerImage:0];
    }
}
@end
