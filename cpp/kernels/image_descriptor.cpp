#include "kernels/image_descriptor.h"

namespace mpscnn::kernels {

std::size_t bytes_of(ImageFormat format) {
    switch (format) {
    case ImageFormat::unorm8:
        return 1;
    case ImageFormat::unorm16:
    case ImageFormat::float16:
        return 2;
    case ImageFormat::float32:
        break;
    }
    return 4;
}

void ImageDescriptor::check() const {
    constexpr std::int64_t largest = 1 << 24;
    const std::initializer_list<std::pair<const char *, std::int64_t>> extents{
        {"width", width},
        {"height", height},
        {"feature_channels", feature_channels},
        {"number_of_images", number_of_images}};
    for (const auto &[name, extent] : extents)
        if (extent < 1 || extent > largest)
            fail(ErrorKind::parameter, {"Image: ", name, " must be 1 to ", largest, ", got ", extent});
    const Shape floats{number_of_images, height,         width,
                       slices(),         slice_channels, static_cast<std::int64_t>(sizeof(float))};
    static_cast<void>(floats.elements()); // throws for a size beyond 64 bits
}

std::string ImageDescriptor::text() const {
    const std::string size =
        std::to_string(width) + " x " + std::to_string(height) + " x " + std::to_string(feature_channels);
    return number_of_images == 1 ? size : std::to_string(number_of_images) + " images of " + size;
}

} // namespace mpscnn::kernels
