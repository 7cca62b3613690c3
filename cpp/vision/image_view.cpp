#include "vision/image_view.h"

#include "core/error.h"

#include <array>
#include <limits>
#include <string>

namespace mpscnn::vision {

namespace {

constexpr auto whole = ChromaPlanes::none;

constexpr std::array<FormatInfo, 17> formats{{
    {"gray8", SampleType::uint8, 1, 1, false, false, whole},
    {"gray_alpha8", SampleType::uint8, 2, 1, true, false, whole},
    {"rgb8", SampleType::uint8, 3, 3, false, false, whole},
    {"rgba8", SampleType::uint8, 4, 3, true, false, whole},
    {"bgr8", SampleType::uint8, 3, 3, false, true, whole},
    {"bgra8", SampleType::uint8, 4, 3, true, true, whole},
    {"gray16", SampleType::uint16, 1, 1, false, false, whole},
    {"rgb16", SampleType::uint16, 3, 3, false, false, whole},
    {"rgba16", SampleType::uint16, 4, 3, true, false, whole},
    {"gray32f", SampleType::float32, 1, 1, false, false, whole},
    {"rgb32f", SampleType::float32, 3, 3, false, false, whole},
    {"rgba32f", SampleType::float32, 4, 3, true, false, whole},
    {"rgbx8", SampleType::uint8, 4, 3, false, false, whole},
    {"bgrx8", SampleType::uint8, 4, 3, false, true, whole},
    {"rgba16f", SampleType::float16, 4, 3, true, false, whole},
    {"nv12", SampleType::uint8, 1, 3, false, false, ChromaPlanes::interleaved},
    {"i420", SampleType::uint8, 1, 3, false, false, ChromaPlanes::separate},
}};

/// Check that rows fit the address space and do not overlap. Error messages begin with `what`.
void check_rows(const std::string &what, int width, int height, int pixel_bytes, std::ptrdiff_t row_bytes) {
    constexpr std::int64_t address_range = std::numeric_limits<std::ptrdiff_t>::max();
    const std::int64_t pixel_row = std::int64_t{width} * pixel_bytes;
    const std::int64_t limit = address_range / height;
    if (pixel_row > limit || row_bytes > limit || row_bytes < -limit)
        fail(ErrorKind::shape, {what, width, "x", height, " pixels with ", row_bytes,
                                " bytes per row exceed the address space"});
    if (row_bytes < pixel_row && row_bytes > -pixel_row)
        fail(ErrorKind::shape,
             {what, "row_bytes is ", row_bytes, ", a row of ", width, " pixels takes ", pixel_row});
}

template <class Enum> void check_choice(Enum value, Enum last, const char *what) {
    if (value < Enum{} || value > last)
        fail(ErrorKind::parameter, {"photo: unknown ", what, " number ", static_cast<int>(value),
                                    ", expected 0..", static_cast<int>(last)});
}

void check_chroma(const ImageView &image, const FormatInfo &format) {
    const Chroma &chroma = image.chroma;
    const bool pairs = format.chroma == ChromaPlanes::interleaved;
    if (chroma.blue == nullptr || (chroma.red == nullptr && !pairs))
        fail(ErrorKind::parameter,
             {"photo: a pointer to the colour differences of ", format.name, " is null"});
    check_yuv(chroma.matrix, chroma.range, chroma.siting);
    check_rows(concat({"photo: colour differences of ", format.name, ": "}), chroma_extent(image.width),
               chroma_extent(image.height), pairs ? 2 : 1, chroma.row_bytes);
}

} // namespace

int sample_bytes(SampleType type) {
    return type == SampleType::uint8 ? 1 : type == SampleType::float32 ? 4 : 2;
}

const FormatInfo &format_info(PixelFormat format) {
    const auto index = static_cast<std::size_t>(format);
    if (index >= formats.size())
        fail(ErrorKind::parameter, {"photo: unknown pixel format number ", static_cast<int>(format),
                                    ", expected 0..", formats.size() - 1});
    return formats[index];
}

void check_yuv(YuvMatrix matrix, YuvRange range, ChromaSiting siting) {
    check_choice(matrix, YuvMatrix::bt709, "YUV matrix");
    check_choice(range, YuvRange::full, "YUV range");
    check_choice(siting, ChromaSiting::center, "chroma siting");
}

void check_image(const ImageView &image) {
    const FormatInfo &format = format_info(image.format);
    if (image.width < 1 || image.height < 1)
        fail(ErrorKind::shape,
             {"photo: width x height is ", image.width, "x", image.height, ", both must be at least 1"});
    if (image.pixels == nullptr) fail(ErrorKind::parameter, "photo: the pointer to its pixels is null");
    if (image.orientation < 1 || image.orientation > 8)
        fail(ErrorKind::parameter, {"photo: orientation is ", image.orientation, ", EXIF defines 1..8"});
    check_rows(concat({"photo of ", format.name, ": "}), image.width, image.height, format.pixel_bytes(),
               image.row_bytes);
    if (format.chroma != ChromaPlanes::none) check_chroma(image, format);
}

/// Return the conversion by ITU-R BT.601 or BT.709: luma = kr R + kg G + kb B, blue = (B - luma) / (2 - 2
/// kb), red = (R - luma) / (2 - 2 kr). Video range has 219 steps of luma above 16, and 224 steps of chroma
/// around 128.
YuvToRgb yuv_to_rgb(YuvMatrix matrix, YuvRange range) {
    const bool bt601 = matrix == YuvMatrix::bt601, video = range == YuvRange::video;
    const double kr = bt601 ? 0.299 : 0.2126, kb = bt601 ? 0.114 : 0.0722, kg = 1.0 - kr - kb;
    const double steps = video ? 255.0 / 224.0 : 1.0;
    const double red = 2.0 * (1.0 - kr) * steps, blue = 2.0 * (1.0 - kb) * steps;
    const auto factors = [](double r, double g, double b) {
        return std::array{static_cast<float>(r), static_cast<float>(g), static_cast<float>(b)};
    };
    return {video ? 16.0f : 0.0f, video ? 255.0f / 219.0f : 1.0f, factors(0.0, -blue * kb / kg, blue),
            factors(red, -red * kr / kg, 0.0)};
}

} // namespace mpscnn::vision
