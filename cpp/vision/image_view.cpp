#include "vision/image_view.h"

#include "core/error.h"

#include <array>
#include <limits>
#include <string>

namespace mpscnn::vision {

namespace {

constexpr std::array<FormatInfo, 12> formats{{
    {"gray8", SampleType::uint8, 1, false, false},
    {"gray_alpha8", SampleType::uint8, 1, true, false},
    {"rgb8", SampleType::uint8, 3, false, false},
    {"rgba8", SampleType::uint8, 3, true, false},
    {"bgr8", SampleType::uint8, 3, false, true},
    {"bgra8", SampleType::uint8, 3, true, true},
    {"gray16", SampleType::uint16, 1, false, false},
    {"rgb16", SampleType::uint16, 3, false, false},
    {"rgba16", SampleType::uint16, 3, true, false},
    {"gray32f", SampleType::float32, 1, false, false},
    {"rgb32f", SampleType::float32, 3, false, false},
    {"rgba32f", SampleType::float32, 3, true, false},
}};

} // namespace

int FormatInfo::pixel_bytes() const {
    const int sample_bytes = sample == SampleType::uint8 ? 1 : sample == SampleType::uint16 ? 2 : 4;
    return samples() * sample_bytes;
}

const FormatInfo &format_info(PixelFormat format) {
    const auto index = static_cast<std::size_t>(format);
    if (index >= formats.size())
        fail(ErrorKind::parameter, "photo: unknown pixel format number " +
                                       std::to_string(static_cast<int>(format)) + ", expected 0.." +
                                       std::to_string(formats.size() - 1));
    return formats[index];
}

void check_image(const ImageView &image) {
    const FormatInfo &format = format_info(image.format);
    const std::string size = std::to_string(image.width) + "x" + std::to_string(image.height);
    if (image.width < 1 || image.height < 1)
        fail(ErrorKind::shape, "photo: width x height is " + size + ", both must be at least 1");
    if (image.pixels == nullptr) fail(ErrorKind::parameter, "photo: the pointer to its pixels is null");
    if (image.orientation < 1 || image.orientation > 8)
        fail(ErrorKind::parameter,
             "photo: orientation is " + std::to_string(image.orientation) + ", EXIF defines 1..8");

    constexpr std::int64_t address_range = std::numeric_limits<std::ptrdiff_t>::max();
    const std::int64_t pixel_row = std::int64_t{image.width} * format.pixel_bytes();
    const std::int64_t limit = address_range / image.height;
    if (pixel_row > limit || image.row_bytes > limit || image.row_bytes < -limit)
        fail(ErrorKind::shape, "photo: " + size + " pixels of " + format.name + " with " +
                                   std::to_string(image.row_bytes) +
                                   " bytes per row exceed the address space");
    if (image.row_bytes < pixel_row && image.row_bytes > -pixel_row)
        fail(ErrorKind::shape, "photo: row_bytes is " + std::to_string(image.row_bytes) + ", a row of " +
                                   std::to_string(image.width) + " pixels of " + format.name + " takes " +
                                   std::to_string(pixel_row));
}

} // namespace mpscnn::vision
