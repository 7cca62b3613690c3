#include "metal/image.h"

#include <algorithm>

#include "core/json.h"

namespace mpscnn::metal {

namespace {

/// Shaders number the elements of an array with 32 bits.
constexpr std::int64_t max_elements = std::int64_t{1} << 31;

} // namespace

std::size_t ImageLayout::bytes(engine::Precision precision) const {
    const std::int64_t element = precision == engine::Precision::float16 ? 2 : 4;
    return static_cast<std::size_t>(images * slices() * 4 * height * width * element);
}

std::int64_t ImageLayout::most_images() const {
    return std::min(max_slices / slices(), max_elements / (height * width * channels));
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

bool has_image(const Shape &shape) {
    return (shape.rank() == 4 || shape.rank() == 2) && shape.back() <= 4 * ImageLayout::max_slices;
}

ImageLayout image_layout(const Shape &shape, const std::string &value) {
    if (!has_image(shape))
        fail(ErrorKind::unsupported,
             quoted(value) +
                 ": the Metal engine holds (n, height, width, channels) and (n, features) with at "
                 "most " +
                 std::to_string(4 * ImageLayout::max_slices) + " channels, not " + shape.text());
    ImageLayout image{shape[0], 1, 1, shape.back()};
    if (shape.rank() == 4) image.height = shape[1], image.width = shape[2];
    const bool too_large = image.height > ImageLayout::max_extent || image.width > ImageLayout::max_extent;
    if (too_large || image.most_images() < 1)
        fail(ErrorKind::unsupported, quoted(value) + ": an image on Metal has at most " +
                                         std::to_string(ImageLayout::max_extent) + " rows and columns and " +
                                         std::to_string(max_elements) + " elements, not " + shape.text());
    return image;
}

} // namespace mpscnn::metal
