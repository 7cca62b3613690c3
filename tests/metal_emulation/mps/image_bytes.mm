// Copies between images and processor memory.
#import "mps/image.h"

#import "metal/pixel_format.h"

#include <algorithm>
#include <cstring>

using namespace metal_emulation;

namespace {

/// The layout of channels in the caller's memory.
struct HostLayout {
    std::size_t channel;
    std::size_t pixel;
    std::size_t row;
    std::size_t image;
};

HostLayout host_layout(MPSDataLayout layout, std::size_t channel_bytes, std::size_t channels, MTLSize size,
                       std::size_t bytes_per_row, std::size_t bytes_per_image) {
    if (layout == MPSDataLayoutHeightxWidthxFeatureChannels)
        return {channel_bytes, channel_bytes * channels, bytes_per_row,
                bytes_per_image ? bytes_per_image : bytes_per_row * size.height};
    return {bytes_per_row * size.height, channel_bytes, bytes_per_row,
            bytes_per_image ? bytes_per_image : bytes_per_row * size.height * channels};
}

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

- (BOOL)acceptsRegion:(MTLRegion)region
             channels:(MPSImageReadWriteParams)channels
           imageIndex:(NSUInteger)imageIndex
               action:(const char *)action {
    const NSUInteger end = channels.featureChannelOffset + channels.numberOfFeatureChannelsToReadWrite;
    return METAL_EXPECT(region.origin.x + region.size.width <= [self width] &&
                            region.origin.y + region.size.height <= [self height] && region.size.width &&
                            region.size.height,
                        "%s of a region that is empty or not within the image", action) &&
           METAL_EXPECT(region.size.depth > 0 && imageIndex + region.size.depth <= [self numberOfImages],
                        "%s of images %lu to %lu of %lu", action, imageIndex, imageIndex + region.size.depth,
                        [self numberOfImages]) &&
           METAL_EXPECT(channels.numberOfFeatureChannelsToReadWrite > 0 && end <= [self featureChannels],
                        "%s of channels that the image does not have", action) &&
           METAL_EXPECT(channels.featureChannelOffset % channels_per_slice == 0,
                        "%s with a feature channel offset of %lu, no multiple of 4", action,
                        channels.featureChannelOffset) &&
           METAL_EXPECT(end % channels_per_slice == 0 || channels.featureChannelOffset == 0,
                        "%s of a number of feature channels that is not a multiple of 4", action) &&
           METAL_EXPECT(![self isKindOfClass:[MPSTemporaryImage class]], "%s of a temporary image", action);
}

- (void)transfer:(unsigned char *)host
       dataLayout:(MPSDataLayout)dataLayout
      bytesPerRow:(NSUInteger)bytesPerRow
    bytesPerImage:(NSUInteger)bytesPerImage
           region:(MTLRegion)region
         channels:(MPSImageReadWriteParams)channels
       imageIndex:(NSUInteger)imageIndex
          writing:(BOOL)writing {
    const PixelLayout format = *pixel_layout([self pixelFormat]);
    const auto bytes = static_cast<std::size_t>(format.channel_bytes);
    const NSUInteger count = channels.numberOfFeatureChannelsToReadWrite;
    const NSUInteger per_row = dataLayout == MPSDataLayoutHeightxWidthxFeatureChannels ? count : 1;
    METAL_EXPECT(bytesPerRow >= region.size.width * per_row * bytes,
                 "%lu bytes per row, fewer than a row has", bytesPerRow);
    const HostLayout layout = host_layout(dataLayout, bytes, count, region.size, bytesPerRow, bytesPerImage);
    const std::vector<unsigned char> unused = unused_lane_bytes(format);
    const auto pixel_bytes = static_cast<std::size_t>(format.bytes());
    std::vector<unsigned char> slice_pixels(region.size.width * region.size.height * pixel_bytes);
    const MTLRegion plane =
        MTLRegionMake2D(region.origin.x, region.origin.y, region.size.width, region.size.height);
    for (NSUInteger n = 0; n < region.size.depth; ++n)
        for (NSUInteger first = 0; first < count; first += channels_per_slice) {
            const NSUInteger slice = (imageIndex + n) * slices_of([self featureChannels]) +
                                     (channels.featureChannelOffset + first) / channels_per_slice;
            if (!writing)
                [[self texture] getBytes:slice_pixels.data()
                             bytesPerRow:region.size.width * pixel_bytes
                           bytesPerImage:0
                              fromRegion:plane
                             mipmapLevel:0
                                   slice:slice];
            for (NSUInteger y = 0; y < region.size.height; ++y)
                for (NSUInteger x = 0; x < region.size.width; ++x)
                    for (NSUInteger lane = 0; lane < static_cast<NSUInteger>(format.components); ++lane) {
                        unsigned char *inside =
                            &slice_pixels[(y * region.size.width + x) * pixel_bytes + lane * bytes];
                        if (first + lane >= count) {
                            if (writing) std::memcpy(inside, unused.data(), bytes);
                            continue;
                        }
                        unsigned char *outside = host + n * layout.image + (first + lane) * layout.channel +
                                                 y * layout.row + x * layout.pixel;
                        std::memcpy(writing ? inside : outside, writing ? outside : inside, bytes);
                    }
            if (writing)
                [[self texture] replaceRegion:plane
                                  mipmapLevel:0
                                        slice:slice
                                    withBytes:slice_pixels.data()
                                  bytesPerRow:region.size.width * pixel_bytes
                                bytesPerImage:0];
        }
}

// Return the bytes of a row of a whole image without gaps.
- (NSUInteger)denseRow:(MPSDataLayout)dataLayout {
    const NSUInteger channels =
        dataLayout == MPSDataLayoutHeightxWidthxFeatureChannels ? [self featureChannels] : 1;
    return [self width] * channels * ([self precision] / 8);
}
@end
