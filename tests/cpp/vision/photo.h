/// Photos of random samples in every pixel format, and the colours that are seen in them, computed for each
/// sample in double.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <random>
#include <utility>
#include <vector>

#include "core/half.h"
#include "vision/image_view.h"

namespace test {

using mpscnn::vision::format_info;
using mpscnn::vision::FormatInfo;
using mpscnn::vision::ImageView;
using mpscnn::vision::PixelFormat;
using mpscnn::vision::SampleType;

inline int sample_bytes(const FormatInfo &format) { return mpscnn::vision::sample_bytes(format.sample); }

/// Formats with one plane come first.
inline constexpr int plain_formats = static_cast<int>(PixelFormat::rgba16f) + 1;

/// The random samples of a photo: of any value, or only the smallest and the largest one.
enum class Samples { any, extreme };

/// A photo that owns its pixels. Rows are padded with bytes that are NaN as floats.
class Photo {
public:
    Photo(PixelFormat format, int width, int height, int orientation, Samples samples = Samples::any)
        : view_{nullptr, width, height, 0, format, orientation} {
        const FormatInfo &info = format_info(format);
        const int pixel_row = width * info.pixel_bytes();
        view_.row_bytes = pixel_row + 12;
        bytes_.assign(static_cast<std::size_t>(view_.row_bytes * height), std::byte{0xff});
        view_.pixels = bytes_.data();
        std::mt19937 random(static_cast<unsigned>(width * 31 + height));
        for (int y = 0; y < height; ++y)
            for (int offset = 0; offset < pixel_row; offset += sample_bytes(info))
                write_sample(info.sample, pixel(0, y) + offset,
                             samples == Samples::any ? random() : random() % 2 * 65535);
    }
    Photo(const Photo &) = delete;
    Photo &operator=(const Photo &) = delete;

    const ImageView &view() const { return view_; }
    const std::byte *pixel(int x, int y) const {
        return bytes_.data() + y * view_.row_bytes + x * format_info(view_.format).pixel_bytes();
    }
    std::byte *pixel(int x, int y) { return const_cast<std::byte *>(std::as_const(*this).pixel(x, y)); }

private:
    static void write_sample(SampleType type, std::byte *place, std::uint_fast32_t random) {
        const auto word = static_cast<std::uint16_t>(random);
        const float fraction = static_cast<float>(word) / 65535.0f;
        if (type == SampleType::uint8) *place = static_cast<std::byte>(word & 255);
        if (type == SampleType::uint16) std::memcpy(place, &word, sizeof word);
        const std::uint16_t half = mpscnn::half_from_float(fraction);
        if (type == SampleType::float16) std::memcpy(place, &half, sizeof half);
        if (type == SampleType::float32) std::memcpy(place, &fraction, sizeof fraction);
    }

    ImageView view_;
    std::vector<std::byte> bytes_;
};

/// Return a stored sample in 0..255; float photos are scaled in float, as the definition requires.
inline double stored_sample(const ImageView &image, int x, int y, int index) {
    const FormatInfo &info = format_info(image.format);
    const auto *place = static_cast<const std::byte *>(image.pixels) + y * image.row_bytes +
                        x * info.pixel_bytes() + index * sample_bytes(info);
    if (info.sample == SampleType::uint8) return std::to_integer<int>(*place);
    if (info.sample == SampleType::uint16) {
        std::uint16_t word;
        std::memcpy(&word, place, sizeof word);
        return word / 257.0;
    }
    float fraction;
    std::uint16_t half;
    std::memcpy(&half, place, sizeof half);
    if (info.sample == SampleType::float16)
        fraction = mpscnn::float_from_half(half);
    else
        std::memcpy(&fraction, place, sizeof fraction);
    return static_cast<double>(fraction * 255.0f);
}

/// Return red, green and blue in 0..255 of a stored pixel, over white.
inline std::array<double, 3> stored_color(const ImageView &image, int x, int y) {
    const FormatInfo &info = format_info(image.format);
    const double alpha = info.alpha ? stored_sample(image, x, y, info.samples - 1) / 255 : 1.0;
    std::array<double, 3> color{};
    for (int c = 0; c < 3; ++c) {
        const int index = info.colors == 1 ? 0 : info.blue_first ? 2 - c : c;
        color[static_cast<std::size_t>(c)] = stored_sample(image, x, y, index) * alpha + 255 * (1 - alpha);
    }
    return color;
}

/// Return the pixel at column x and row y of the upright photo. An EXIF orientation states where the stored
/// first row and column are: 6 is "right, top". So the first row is seen as the rightmost column, from top to
/// bottom.
inline std::array<double, 3> seen_color(const ImageView &image, int x, int y) {
    const int right = image.width - 1, bottom = image.height - 1;
    switch (image.orientation) {
    case 2:
        return stored_color(image, right - x, y);
    case 3:
        return stored_color(image, right - x, bottom - y);
    case 4:
        return stored_color(image, x, bottom - y);
    case 5:
        return stored_color(image, y, x);
    case 6:
        return stored_color(image, y, bottom - x);
    case 7:
        return stored_color(image, right - y, bottom - x);
    case 8:
        return stored_color(image, right - y, x);
    default:
        return stored_color(image, x, y);
    }
}

inline double luma(const std::array<double, 3> &color) {
    return 0.299 * color[0] + 0.587 * color[1] + 0.114 * color[2];
}

} // namespace test
