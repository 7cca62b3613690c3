#pragma once

#include <string>

#include "metal/device/device.h"
#include "metal/encoding/image.h"

namespace mpscnn::metal {

/// One MPSImage, from one of its images on.
struct ImagePlace {
    MPSImage *image = nil;
    std::int64_t first_image = 0;
};

/// Copies images of this layout's extents by shaders/copy.metal, whatever the formats of source and
/// destination.
void encode_copy(id<MTLCommandBuffer> command_buffer, Device &device, const std::string &label,
                 const ImageLayout &extents, const ImagePlace &source, const ImagePlace &destination);

} // namespace mpscnn::metal
