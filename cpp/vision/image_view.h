#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace mpscnn::vision {

/// The order and type of the samples of a pixel. 8-bit samples are 0..255, 16-bit integers (native byte
/// order) 0..65535, floats 0..1 (not clamped). The x of rgbx8 and bgrx8 is ignored. nv12 and i420 have a
/// plane of 8-bit luma, and one blue and one red chroma sample for each 2 x 2 pixels (see Chroma).
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

/// How chroma is stored in YUV photos: pairs (blue, red) in one plane, or two planes.
enum class ChromaPlanes { none, interleaved, separate };

/// The layout of a PixelFormat. Alpha, if there is one, is the last sample and not premultiplied.
struct FormatInfo {
    const char *name;
    SampleType sample;
    int samples; ///< samples per pixel in the first plane
    int colors;  ///< colours without alpha: 1 or 3
    bool alpha;
    bool blue_first;
    ChromaPlanes chroma;

    int pixel_bytes() const { return samples * sample_bytes(sample); } ///< bytes in the first plane
};

/// Throws Error(parameter) for a value outside the enumeration.
const FormatInfo &format_info(PixelFormat format);

/// The standard that defines luma as a sum of red, green and blue.
enum class YuvMatrix { bt601, bt709 };

/// The range of YUV samples. video: luma 16..235, chroma 16..240. full: 0..255.
enum class YuvRange { video, full };

/// The position of the chroma sample within its 2 x 2 pixels. Vertically it is between the two rows.
/// Horizontally it is at the left column's centre (`left`), as in H.264 and HEVC, or between the columns
/// (`center`), as in JPEG.
enum class ChromaSiting { left, center };

/// The chroma of an nv12 or i420 photo: (width + 1) / 2 samples for each of (height + 1) / 2 rows.
struct Chroma {
    const void *blue = nullptr; ///< Cb, U; nv12: the first pair
    const void *red = nullptr;  ///< Cr, V; not read with nv12
    std::ptrdiff_t row_bytes = 0;
    YuvMatrix matrix = YuvMatrix::bt601;
    YuvRange range = YuvRange::video;
    ChromaSiting siting = ChromaSiting::left;
};

/// A photo in memory that belongs to the caller. It is only read, and needs no alignment.
struct ImageView {
    const void *pixels = nullptr; ///< first sample of the first stored row
    int width = 0, height = 0;    ///< as stored, before the orientation is applied
    /// Bytes from one row to the next; negative if later rows have lower addresses.
    std::ptrdiff_t row_bytes = 0;
    PixelFormat format = PixelFormat::rgb8;
    int orientation = 1; ///< EXIF 1..8: the rotation or reflection that makes the stored photo upright
    Chroma chroma{};     ///< for nv12 and i420 only

    /// True if the rows of the upright photo are the stored columns. The functions after this tell if stored
    /// columns or rows are in reverse order.
    bool transposed() const { return orientation >= 5; }
    bool columns_reversed() const {
        return orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
    }
    bool rows_reversed() const {
        return orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
    }
    /// Return the size of the upright photo.
    int oriented_width() const { return transposed() ? height : width; }
    int oriented_height() const { return transposed() ? width : height; }
};

/// Return the size of a chroma plane for a luma plane of size `extent`, along one axis.
constexpr int chroma_extent(int extent) { return extent / 2 + extent % 2; }

/// Throws Error(parameter) for a value outside its enumeration.
void check_yuv(YuvMatrix matrix, YuvRange range, ChromaSiting siting);

/// Throws Error(shape) for empty, negative or overflowing sizes and for rows shorter than their pixels.
/// Throws Error(parameter) for null pixels and for an unknown format, orientation, matrix, range or siting.
void check_image(const ImageView &image);

/// RGB in 0..255 = (luma - black) luma_factor + (blue - 128) blue_factors + (red - 128) red_factors, for
/// samples in 0..255. Some YUV values are outside of RGB, so the result must be clamped to 0..255.
struct YuvToRgb {
    float black, luma_factor;
    std::array<float, 3> blue_factors, red_factors;
};

YuvToRgb yuv_to_rgb(YuvMatrix matrix, YuvRange range);

} // namespace mpscnn::vision
