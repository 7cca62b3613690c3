#include "pixels.h"

#include <array>

#include "arrays.h"

namespace mpscnn::bindings {

namespace {

struct PixelFormat {
    const char *name;
    mpscnn_pixel_format format;
    char kind;
    int sample_bytes, samples;
};

/// Pixel formats whose samples are all in one plane.
constexpr std::array<PixelFormat, 15> pixel_formats{{{"gray8", MPSCNN_GRAY8, 'u', 1, 1},
                                                     {"gray_alpha8", MPSCNN_GRAY_ALPHA8, 'u', 1, 2},
                                                     {"rgb8", MPSCNN_RGB8, 'u', 1, 3},
                                                     {"rgba8", MPSCNN_RGBA8, 'u', 1, 4},
                                                     {"bgr8", MPSCNN_BGR8, 'u', 1, 3},
                                                     {"bgra8", MPSCNN_BGRA8, 'u', 1, 4},
                                                     {"gray16", MPSCNN_GRAY16, 'u', 2, 1},
                                                     {"rgb16", MPSCNN_RGB16, 'u', 2, 3},
                                                     {"rgba16", MPSCNN_RGBA16, 'u', 2, 4},
                                                     {"gray32f", MPSCNN_GRAY32F, 'f', 4, 1},
                                                     {"rgb32f", MPSCNN_RGB32F, 'f', 4, 3},
                                                     {"rgba32f", MPSCNN_RGBA32F, 'f', 4, 4},
                                                     {"rgbx8", MPSCNN_RGBX8, 'u', 1, 4},
                                                     {"bgrx8", MPSCNN_BGRX8, 'u', 1, 4},
                                                     {"rgba16f", MPSCNN_RGBA16F, 'f', 2, 4}}};

template <class Table> const auto &named(const Table &table, const std::string &name, const char *what) {
    std::string known;
    for (const auto &entry : table) {
        if (name == entry.name) return entry;
        known += (known.empty() ? "" : ", ") + std::string(entry.name);
    }
    throw ParameterError(std::string("unknown ") + what + " '" + name + "'; known are " + known);
}

void require_pixels(const py::array &pixels, const PixelFormat &format, const std::string &what) {
    const py::dtype type = pixels.dtype();
    if (!is_native(type) || type.kind() != format.kind || type.itemsize() != format.sample_bytes)
        throw ShapeError(what + ": " + format.name + " needs " + (format.kind == 'f' ? "float" : "uint") +
                         std::to_string(8 * format.sample_bytes) + " samples, got " + type_name(type));
    const bool gray = pixels.ndim() == 2 && format.samples == 1;
    const bool colored = pixels.ndim() == 3 && pixels.shape(2) == format.samples;
    if (!gray && !colored)
        throw ShapeError(what + ": " + format.name + " needs the shape (height, width, " +
                         std::to_string(format.samples) + "), got " + text_of(pixels));
    if (pixels.shape(0) > INT32_MAX || pixels.shape(1) > INT32_MAX)
        throw ShapeError(what + ": " + text_of(pixels) + " is too large");
    const bool dense_samples = gray || pixels.shape(2) == 1 || pixels.strides(2) == format.sample_bytes;
    const bool dense_pixels =
        pixels.shape(1) == 1 || pixels.strides(1) == format.samples * format.sample_bytes;
    // The C interface takes a row_bytes of 0 as "without gaps".
    const bool one_row = pixels.shape(0) > 1 && pixels.strides(0) == 0;
    if (!dense_samples || !dense_pixels || one_row)
        throw ParameterError(what +
                             ": rows must be apart, and the pixels of a row one after the other; pass "
                             "numpy.ascontiguousarray(" +
                             what + ")");
}

/// Return the stride of rows, or 0 for a single row, because numpy does not define the stride of an axis with
/// one element.
std::ptrdiff_t row_bytes(const py::array &pixels) { return pixels.shape(0) > 1 ? pixels.strides(0) : 0; }

ImageView view_of(const py::array &pixels, const std::string &name, int orientation) {
    const PixelFormat &format = named(pixel_formats, name, "pixel format");
    require_pixels(pixels, format, "image");
    return ImageView(pixels.data(), static_cast<int>(pixels.shape(1)), static_cast<int>(pixels.shape(0)),
                     format.format, row_bytes(pixels), orientation);
}

template <class Enum> struct Choice {
    const char *name;
    Enum value;
};

constexpr std::array<Choice<mpscnn_yuv_matrix>, 2> matrices{
    {{"bt601", MPSCNN_BT601}, {"bt709", MPSCNN_BT709}}};
constexpr std::array<Choice<mpscnn_yuv_range>, 2> ranges{
    {{"video", MPSCNN_VIDEO_RANGE}, {"full", MPSCNN_FULL_RANGE}}};
constexpr std::array<Choice<mpscnn_chroma_siting>, 2> sitings{
    {{"left", MPSCNN_CHROMA_LEFT}, {"center", MPSCNN_CHROMA_CENTER}}};

constexpr PixelFormat one_sample{"8-bit", MPSCNN_GRAY8, 'u', 1, 1};
constexpr PixelFormat pairs{"NV12", MPSCNN_NV12, 'u', 1, 2};

void require_half_size(const py::array &chroma, const py::array &luma, const std::string &what) {
    const auto half = [](py::ssize_t extent) { return (extent + 1) / 2; };
    if (chroma.shape(0) != half(luma.shape(0)) || chroma.shape(1) != half(luma.shape(1)))
        throw ShapeError(what + ": (" + std::to_string(half(luma.shape(0))) + ", " +
                         std::to_string(half(luma.shape(1))) + ") pixels go with y " + text_of(luma) +
                         ", got " + text_of(chroma));
}

} // namespace

Pixels::Pixels(py::array pixels, const std::string &format, int orientation)
    : view_(view_of(pixels, format, orientation)) {
    arrays_.push_back(std::move(pixels));
}

Pixels Pixels::yuv(py::array luma, py::array blue, const py::object &red, const std::string &matrix,
                   const std::string &range, const std::string &siting, int orientation) {
    const bool two_planes = red.is_none();
    require_pixels(luma, one_sample, "y");
    require_pixels(blue, two_planes ? pairs : one_sample, two_planes ? "uv" : "u");
    require_half_size(blue, luma, two_planes ? "uv" : "u");
    YuvOptions options{named(matrices, matrix, "YUV matrix").value,
                       named(ranges, range, "YUV range").value,
                       named(sitings, siting, "chroma siting").value,
                       row_bytes(luma),
                       row_bytes(blue),
                       orientation};
    const auto bytes = [](const py::array &array) { return static_cast<const std::uint8_t *>(array.data()); };
    const auto width = static_cast<int>(luma.shape(1)), height = static_cast<int>(luma.shape(0));
    if (two_planes) {
        const ImageView view = ImageView::nv12(bytes(luma), bytes(blue), width, height, options);
        return Pixels({std::move(luma), std::move(blue)}, view);
    }
    auto other = py::cast<py::array>(red);
    require_pixels(other, one_sample, "v");
    require_half_size(other, luma, "v");
    if (row_bytes(other) != row_bytes(blue))
        throw ParameterError("u and v: their rows must be equally far apart, got " +
                             std::to_string(row_bytes(blue)) + " and " + std::to_string(row_bytes(other)) +
                             " bytes");
    const ImageView view = ImageView::i420(bytes(luma), bytes(blue), bytes(other), width, height, options);
    return Pixels({std::move(luma), std::move(blue), std::move(other)}, view);
}

} // namespace mpscnn::bindings
