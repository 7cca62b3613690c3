// The emulated kernels' access to images.
#pragma once

#import <MetalPerformanceShaders/MetalPerformanceShaders.h>

#import "metal/command_buffer.h"
#import "metal/resource.h"

#include <vector>

namespace metal_emulation {

constexpr NSUInteger channels_per_slice = 4;
/// The value of unused lanes in a slice. MPS may leave any finite number there.
constexpr float unused_lane = 7.0f;

inline NSUInteger slices_of(NSUInteger channels) {
    return (channels + channels_per_slice - 1) / channels_per_slice;
}

/// The pixels of one image as floats, with all channels of a pixel together.
struct Pixels {
    NSUInteger width = 0;
    NSUInteger height = 0;
    NSUInteger channels = 0;
    std::vector<float> values;

    Pixels(NSUInteger width, NSUInteger height, NSUInteger channels)
        : width(width), height(height), channels(channels), values(width * height * channels) {}
    float *at(NSUInteger x, NSUInteger y) { return values.data() + (y * width + x) * channels; }
    const float *at(NSUInteger x, NSUInteger y) const { return values.data() + (y * width + x) * channels; }
};

/// Read the first `count` channels of an image's texture. Unused lanes must be finite.
Pixels unpack(const msl::TextureView &texture, NSUInteger image_channels, NSUInteger image, NSUInteger count);

/// Write pixels. Like MPS, it writes whole slices, with arbitrary values in unused lanes.
void pack(const Pixels &pixels, const msl::TextureView &texture, NSUInteger image_channels, NSUInteger image);

MTLPixelFormat pixel_format_of(MPSImageFeatureChannelFormat format, NSUInteger channels);

} // namespace metal_emulation

@interface MPSImage (Emulation)
- (EmulatedTexture *)emulatedTexture;
/// Called for each use as a source or destination; records violations.
- (BOOL)acceptsUseOn:(EmulatedCommandBuffer *)commandBuffer;
/// Called after each kernel that reads the image.
- (void)wasRead;
/// Return the bytes of all images, unless the texture was given.
- (NSUInteger)resourceSize;
@end

@interface MPSImage (Transfer)
/// Copy an image from or to processor memory, with all channels of a pixel together.
- (void)transfer:(unsigned char *)host
      imageIndex:(NSUInteger)imageIndex
         writing:(BOOL)writing
          action:(const char *)action;
@end
