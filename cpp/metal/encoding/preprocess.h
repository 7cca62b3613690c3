#pragma once

#include <cstdint>

#include "metal/device/device.h"
#include "vision/preprocess.h"

#import <MetalPerformanceShaders/MetalPerformanceShaders.h>

namespace mpscnn::metal {

/// A photo in one texture of one, three or four components, or in two: luma, and blue and red differences.
struct PhotoTextures {
    id<MTLTexture> pixels = nil;
    id<MTLTexture> chroma = nil; ///< of YUV photos only
    bool has_alpha = true;       ///< whether a fourth component means something
    int orientation = 1;         ///< EXIF 1..8
    vision::YuvMatrix matrix = vision::YuvMatrix::bt601;
    vision::YuvRange range = vision::YuvRange::video;
    vision::ChromaSiting siting = vision::ChromaSiting::left;
};

/// Appends to the command buffer what vision::preprocess does: `destination`, an image of 1 or 3 feature
/// channels in float16 or float32, receives the photo as the network's input with number `image`. Throws
/// ParameterError for textures of other formats, kinds, usage or devices and for options that `check`
/// refuses, ShapeError where sizes or feature channels do not fit, UnsupportedError for Fit::digit,
/// StateError for a temporary destination whose read count is 0, DeviceError where there is no memory for it.
/// Nothing is appended then.
void encode_preprocess(id<MTLCommandBuffer> command_buffer, Device &device, const PhotoTextures &photo,
                       const vision::Preprocess &options, MPSImage *destination, std::int64_t image = 0);

} // namespace mpscnn::metal
