#include "api/image.h"

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

vision::ImageView image_view(const mpscnn_image &image) {
    vision::ImageView view;
    view.pixels = image.pixels;
    view.width = image.width;
    view.height = image.height;
    view.format = static_cast<vision::PixelFormat>(image.format);
    view.orientation = image.orientation == 0 ? 1 : image.orientation;
    view.row_bytes = image.row_bytes != 0 ? image.row_bytes
                                          : static_cast<std::ptrdiff_t>(image.width) *
                                                vision::format_info(view.format).pixel_bytes();
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
