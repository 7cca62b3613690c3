#include <algorithm>

#include "metal/device/image.h"
#include "ops/unsupported.h"

namespace mpscnn::metal {

std::size_t ImageLayout::bytes() const {
    const std::int64_t element = precision == engine::Precision::float16 ? 2 : 4;
    return static_cast<std::size_t>(images * slices() * 4 * height * width * element);
}

std::int64_t ImageLayout::max_images() const {
    return std::min(ops::metal_limits::slices / slices(),
                    ops::metal_limits::elements / (height * width * channels));
}

ImageLayout ImageLayout::unrounded() const {
    ImageLayout result = *this;
    result.precision = engine::Precision::float32;
    return result;
}

ImageParams ImageLayout::params() const {
    return {static_cast<unsigned int>(width), static_cast<unsigned int>(height),
            static_cast<unsigned int>(channels), static_cast<unsigned int>(slices()),
            static_cast<unsigned int>(images)};
}

MPSImageDescriptor *ImageLayout::descriptor() const {
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

Shape image_extents(const Shape &shape) {
    const int rank = shape.rank();
    std::int64_t rows = 1;
    for (int axis = 1; axis < rank - 2; ++axis) rows *= shape[axis];
    return {rows, rank > 2 ? shape[rank - 2] : 1, shape.back()};
}

ImageLayout image_layout(const Shape &shape, engine::Precision precision) {
    const Shape extents = image_extents(shape);
    return {1, extents[0], extents[1], extents[2], precision};
}

} // namespace mpscnn::metal
