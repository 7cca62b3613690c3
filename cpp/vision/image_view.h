#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace mpscnn::vision {

/// Order and type of the samples of one pixel. 8-bit samples mean 0..255, 16-bit integers (native byte order)
/// 0..65535, floats 0..1 (not clamped). The x of rgbx8 and bgrx8 means nothing. nv12 and i420 have a plane of
/// 8-bit luma, and blue and red differences for each 2 x 2 pixels, see Chroma.
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
    rgbx8,
    bgrx8,
    rgba16f,
    nv12,
    i420,
};

enum class SampleType { uint8, uint16, float16, float32 };

int sample_bytes(SampleType type);

/// Where the colour differences of YUV photos lie: in pairs (blue, red) in one plane, or in two planes.
enum class ChromaPlanes { none, interleaved, separate };

/// The layout of a PixelFormat. Alpha, where there is one, is the last sample and not premultiplied.
struct FormatInfo {
    const char *name;
    SampleType sample;
    int samples; ///< of a pixel, in the first plane
    int colors;  ///< 1 or 3 that the photo has, alpha not counted
    bool alpha;
    bool blue_first;
    ChromaPlanes chroma;

    int pixel_bytes() const { return samples * sample_bytes(sample); } ///< in the first plane
};

/// Throws Error(parameter) for a value outside the enumeration.
const FormatInfo &format_info(PixelFormat format);

/// Which red, green and blue a YUV photo's luma is made of.
enum class YuvMatrix { bt601, bt709 };

/// video: luma 16..235, differences 16..240; full: 0..255.
enum class YuvRange { video, full };

/// Where the one difference of 2 x 2 pixels was taken. Vertically between the two rows; horizontally `left`,
/// at the left column's centre, as in H.264 and HEVC, or `center`, between the columns, as in JPEG.
enum class ChromaSiting { left, center };

/// The colour differences of an nv12 or i420 photo: (width + 1) / 2 for each of (height + 1) / 2 rows.
struct Chroma {
    const void *blue = nullptr; ///< Cb, U; nv12: the first pair
    const void *red = nullptr;  ///< Cr, V; not read with nv12
    std::ptrdiff_t row_bytes = 0;
    YuvMatrix matrix = YuvMatrix::bt601;
    YuvRange range = YuvRange::video;
    ChromaSiting siting = ChromaSiting::left;
};

/// A photo in its owner's memory, which is only read and needs no alignment.
struct ImageView {
    const void *pixels = nullptr; ///< first sample of the first stored row
    int width = 0, height = 0;    ///< as stored, before the orientation is applied
    /// From one row to the next; negative when later rows lie before earlier ones.
    std::ptrdiff_t row_bytes = 0;
    PixelFormat format = PixelFormat::rgb8;
    int orientation = 1; ///< EXIF 1..8: how to turn the stored photo to the photo as seen
    Chroma chroma{};     ///< of nv12 and i420 only

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

/// Extent of the planes of colour differences next to `extent` of luma.
constexpr int chroma_extent(int extent) { return extent / 2 + extent % 2; }

/// Throws Error(parameter) for a value outside its enumeration.
void check_yuv(YuvMatrix matrix, YuvRange range, ChromaSiting siting);

/// Throws Error(shape) for empty, negative or overflowing sizes and rows shorter than their pixels,
/// Error(parameter) for null pixels, an unknown format, orientation, matrix, range or siting.
void check_image(const ImageView &image);

/// RGB in 0..255 = (luma - black) luma_factor + (blue - 128) blue_factors + (red - 128) red_factors, for
/// samples in 0..255. YUV has values that no colour has: the result is to be limited to 0..255.
struct YuvToRgb {
    float black, luma_factor;
    std::array<float, 3> blue_factors, red_factors;
};

YuvToRgb yuv_to_rgb(YuvMatrix matrix, YuvRange range);

} // namespace mpscnn::vision
