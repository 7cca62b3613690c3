#include "metal/image.h"

#include <algorithm>

#include "ops/refusals.h"

namespace mpscnn::metal {

std::size_t ImageLayout::bytes(engine::Precision precision) const {
    const std::int64_t element = precision == engine::Precision::float16 ? 2 : 4;
    return static_cast<std::size_t>(images * slices() * 4 * height * width * element);
}

std::int64_t ImageLayout::most_images() const {
    return std::min(ops::metal_limits::slices / slices(),
                    ops::metal_limits::elements / (height * width * channels));
}

ImageParams ImageLayout::params() const {
    return {static_cast<unsigned int>(width), static_cast<unsigned int>(height),
            static_cast<unsigned int>(channels), static_cast<unsigned int>(slices()),
            static_cast<unsigned int>(images)};
}

MPSImageDescriptor *ImageLayout::descriptor(engine::Precision precision) const {
    const auto format = precision == engine::Precision::float16 ? MPSImageFeatureChannelFormatFloat16
                                                                : MPSImageFeatureChannelFormatFloat32;
    MPSImageDescriptor *descriptor = [MPSImageDescriptor
        imageDescriptorWithChannelFormat:format
                                   width:static_cast<NSUInteger>(width)
                                  height:static_cast<NSUInteger>(height)
                         featureChannels:static_cast<NSUInteger>(channels)
                          numberOfImages:static_cast<NSUInteger>(images)
                                   usage:MTLTextureUsageShaderRead | MTLTextureUsageShaderWrite];
    [descriptor setStorageMode:MTLStorageModePrivate];
    return descriptor;
}

ImageLayout image_layout(const Shape &shape) {
    ImageLayout image{shape[0], 1, 1, shape.back()};
    if (shape.rank() == 4) image.height = shape[1], image.width = shape[2];
    return image;
}

} // namespace mpscnn::metal
