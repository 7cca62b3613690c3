#pragma once

#include <cstdint>

#include "metal/device/device.h"
#include "vision/preprocess.h"

#import <MetalPerformanceShaders/MetalPerformanceShaders.h>

namespace mpscnn::metal {

/// A photo in one texture with one, three or four components, or in two textures: luma, and the two chroma
/// components.
struct PhotoTextures {
    id<MTLTexture> pixels = nil;
    id<MTLTexture> chroma = nil; ///< for YUV photos only
    bool has_alpha = true;       ///< true if the fourth component is alpha
    int orientation = 1;         ///< EXIF 1..8
    vision::YuvMatrix matrix = vision::YuvMatrix::bt601;
    vision::YuvRange range = vision::YuvRange::video;
    vision::ChromaSiting siting = vision::ChromaSiting::left;
};

/// Append commands that preprocess a photo like vision::preprocess. They write image number `image` of
/// `destination`, which has 1 or 3 feature channels in float16 or float32. Throws ParameterError for textures
/// of other formats, kinds, usage or devices, for options that `check` refuses, and for an orientation or a
/// number `image` that does not exist. Throws ShapeError if sizes or feature channels do not fit, and
/// UnsupportedError for Fit::digit. Throws StateError for a temporary destination whose read count is 0, and
/// DeviceError if there is not enough memory. If it throws, nothing is appended.
void encode_preprocess(id<MTLCommandBuffer> command_buffer, Device &device, const PhotoTextures &photo,
                       const vision::Preprocess &options, MPSImage *destination, std::int64_t image = 0);

} // namespace mpscnn::metal
