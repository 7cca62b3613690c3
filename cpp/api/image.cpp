#include "api/photo_frame.h"

#include <string>

#include "api/guard.h"
#include "api/handles.h"
#include "core/json.h"
#include "vision/preprocess_json.h"

namespace mpscnn::c_api {

static_assert(static_cast<int>(vision::PixelFormat::gray8) == MPSCNN_GRAY8);
static_assert(static_cast<int>(vision::PixelFormat::gray_alpha8) == MPSCNN_GRAY_ALPHA8);
static_assert(static_cast<int>(vision::PixelFormat::rgb8) == MPSCNN_RGB8);
static_assert(static_cast<int>(vision::PixelFormat::rgba8) == MPSCNN_RGBA8);
static_assert(static_cast<int>(vision::PixelFormat::bgr8) == MPSCNN_BGR8);
static_assert(static_cast<int>(vision::PixelFormat::bgra8) == MPSCNN_BGRA8);
static_assert(static_cast<int>(vision::PixelFormat::gray16) == MPSCNN_GRAY16);
static_assert(static_cast<int>(vision::PixelFormat::rgb16) == MPSCNN_RGB16);
static_assert(static_cast<int>(vision::PixelFormat::rgba16) == MPSCNN_RGBA16);
static_assert(static_cast<int>(vision::PixelFormat::gray32f) == MPSCNN_GRAY32F);
static_assert(static_cast<int>(vision::PixelFormat::rgb32f) == MPSCNN_RGB32F);
static_assert(static_cast<int>(vision::PixelFormat::rgba32f) == MPSCNN_RGBA32F);
static_assert(static_cast<int>(vision::PixelFormat::rgbx8) == MPSCNN_RGBX8);
static_assert(static_cast<int>(vision::PixelFormat::bgrx8) == MPSCNN_BGRX8);
static_assert(static_cast<int>(vision::PixelFormat::rgba16f) == MPSCNN_RGBA16F);
static_assert(static_cast<int>(vision::PixelFormat::nv12) == MPSCNN_NV12);
static_assert(static_cast<int>(vision::PixelFormat::i420) == MPSCNN_I420);
static_assert(static_cast<int>(vision::YuvMatrix::bt709) == MPSCNN_BT709);
static_assert(static_cast<int>(vision::YuvRange::full) == MPSCNN_FULL_RANGE);
static_assert(static_cast<int>(vision::ChromaSiting::center) == MPSCNN_CHROMA_CENTER);

namespace {

std::ptrdiff_t row_bytes(std::ptrdiff_t given, int pixels, int pixel_bytes) {
    return given != 0 ? given : static_cast<std::ptrdiff_t>(pixels) * pixel_bytes;
}

vision::Chroma chroma_of(const mpscnn_image &image, const vision::FormatInfo &format) {
    require(image.chroma, (std::string("chroma of a photo of ") + format.name).c_str());
    const auto raw = read_options(image.chroma, "mpscnn_chroma");
    const int pixel_bytes = format.chroma == vision::ChromaPlanes::interleaved ? 2 : 1;
    return {raw.blue,
            raw.red,
            row_bytes(raw.row_bytes, vision::chroma_extent(image.width), pixel_bytes),
            static_cast<vision::YuvMatrix>(raw.matrix),
            static_cast<vision::YuvRange>(raw.range),
            static_cast<vision::ChromaSiting>(raw.siting)};
}

} // namespace

vision::ImageView image_view(const mpscnn_image &image) {
    vision::ImageView view;
    view.pixels = image.pixels;
    view.width = image.width;
    view.height = image.height;
    view.format = static_cast<vision::PixelFormat>(image.format);
    view.orientation = image.orientation == 0 ? 1 : image.orientation;
    const vision::FormatInfo &format = vision::format_info(view.format);
    view.row_bytes = row_bytes(image.row_bytes, image.width, format.pixel_bytes());
    if (format.chroma != vision::ChromaPlanes::none) view.chroma = chroma_of(image, format);
    return view;
}

} // namespace mpscnn::c_api

using namespace mpscnn;
using c_api::guarded;
using c_api::require;

mpscnn_status mpscnn_preprocess(const mpscnn_image *image, const char *preprocess, int height, int width,
                                int channels, float *output) {
    return guarded([&] {
        require(image, "image");
        require(output, "output");
        const Json description = parse_json(c_api::text(preprocess, "preprocess"));
        const auto options = vision::preprocess_from_json(JsonView(description, "preprocess"), channels);
        const auto pixel_pitch = static_cast<std::ptrdiff_t>(channels);
        vision::preprocess(c_api::image_view(*image), options, height, width, channels, output, pixel_pitch,
                           pixel_pitch * width);
    });
}

mpscnn_status mpscnn_preprocess_describe(const char *preprocess, int channels, mpscnn_text **json) {
    return guarded([&] {
        require(json, "json");
        const Json description = parse_json(c_api::text(preprocess, "preprocess"));
        const auto options = vision::preprocess_from_json(JsonView(description, "preprocess"), channels);
        c_api::give(to_text(to_json(options)), json);
    });
}
