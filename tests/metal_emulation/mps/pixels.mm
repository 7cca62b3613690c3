#import "mps/image.h"

#include "msl/texture.h"

#include <cmath>

namespace metal_emulation {
namespace {

unsigned char *pixel_at(const msl::TextureView &texture, NSUInteger slice, NSUInteger x, NSUInteger y) {
    return texture.pixels + slice * texture.slice_bytes + y * texture.row_bytes +
           x * (texture.row_bytes / texture.width);
}

} // namespace

Pixels unpack(const msl::TextureView &texture, NSUInteger image_channels, NSUInteger image,
              NSUInteger count) {
    Pixels pixels(texture.width, texture.height, count);
    const NSUInteger first_slice = image * slices_of(image_channels);
    const NSUInteger lanes = static_cast<NSUInteger>(texture.components);
    bool finite = true;
    for (NSUInteger y = 0; y < pixels.height; ++y)
        for (NSUInteger x = 0; x < pixels.width; ++x)
            for (NSUInteger slice = 0; slice * channels_per_slice < count; ++slice) {
                const unsigned char *from = pixel_at(texture, first_slice + slice, x, y);
                for (NSUInteger lane = 0; lane < lanes; ++lane) {
                    const NSUInteger channel = slice * channels_per_slice + lane;
                    const int place = msl::place_of(texture, static_cast<int>(lane));
                    const float value = msl::load_channel(from, texture.channel_type, place);
                    if (channel >= image_channels)
                        finite = finite && std::isfinite(value);
                    else if (channel < count)
                        pixels.at(x, y)[channel] = value;
                }
            }
    if (!finite) violation("an image's unused channels hold NaN or infinity");
    return pixels;
}

void pack(const Pixels &pixels, const msl::TextureView &texture, NSUInteger image_channels,
          NSUInteger image) {
    const NSUInteger first_slice = image * slices_of(image_channels);
    const NSUInteger lanes = static_cast<NSUInteger>(texture.components);
    for (NSUInteger y = 0; y < pixels.height; ++y)
        for (NSUInteger x = 0; x < pixels.width; ++x)
            for (NSUInteger slice = 0; slice * channels_per_slice < pixels.channels; ++slice) {
                unsigned char *to = pixel_at(texture, first_slice + slice, x, y);
                for (NSUInteger lane = 0; lane < lanes; ++lane) {
                    const NSUInteger channel = slice * channels_per_slice + lane;
                    const float value = channel < pixels.channels ? pixels.at(x, y)[channel] : unused_lane;
                    const int place = msl::place_of(texture, static_cast<int>(lane));
                    msl::store_channel(to, texture.channel_type, place, value);
                }
            }
}

} // namespace metal_emulation
