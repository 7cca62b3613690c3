#pragma once

#include <cstddef>
#include <cstdint>

namespace mpscnn::vision {

/// Order and type of the samples of one pixel. 8-bit samples mean 0..255, 16-bit samples (native byte order)
/// 0..65535, float samples 0..1 (not clamped).
enum class PixelFormat {
    gray8,
    gray_alpha8,
    rgb8,
    rgba8,
    bgr8,
    bgra8,
    gray16,
    rgb16,
    rgba16,
    gray32f,
    rgb32f,
    rgba32f,
};

enum class SampleType { uint8, uint16, float32 };

/// What a PixelFormat consists of. Alpha, where there is one, is the last sample and not premultiplied.
struct FormatInfo {
    const char *name;
    SampleType sample;
    int colors; ///< 1 or 3, alpha not counted
    bool alpha;
    bool blue_first;

    int samples() const { return colors + (alpha ? 1 : 0); }
    int pixel_bytes() const;
};

/// Throws Error(parameter) for a value outside the enumeration.
const FormatInfo &format_info(PixelFormat format);

/// A photo in its owner's memory, which is only read and needs no alignment.
struct ImageView {
    const void *pixels = nullptr; ///< first sample of the first stored row
    int width = 0, height = 0;    ///< as stored, before the orientation is applied
    /// From one row to the next; negative when later rows lie before earlier ones.
    std::ptrdiff_t row_bytes = 0;
    PixelFormat format = PixelFormat::rgb8;
    int orientation = 1; ///< EXIF 1..8: how to turn the stored photo to the photo as seen

    /// Whether a row as seen is a stored column, and in which direction the stored ones are run through.
    bool transposed() const { return orientation >= 5; }
    bool columns_reversed() const {
        return orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
    }
    bool rows_reversed() const {
        return orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
    }
    /// Size of the photo as seen.
    int oriented_width() const { return transposed() ? height : width; }
    int oriented_height() const { return transposed() ? width : height; }
};

/// Throws Error(shape) for empty, negative or overflowing sizes and rows shorter than their pixels,
/// Error(parameter) for null pixels, an unknown format or orientation.
void check_image(const ImageView &image);

} // namespace mpscnn::vision
