// Conversion of photos in textures to inputs, in command buffers of the caller.

#include "mpscnn/metal.h"

#include <string>

#include "api/guard.h"
#include "core/error.h"

#if defined(MPSCNN_WITH_METAL)

#include "core/json.h"
#include "metal/encoding/native_photo.h"
#include "vision/preprocess_json.h"

using namespace mpscnn;

namespace {

metal::NativePhoto photo_of(mpscnn_metal_texture pixels, mpscnn_metal_texture chroma,
                            const mpscnn_metal_photo_options *options) {
    const auto raw = c_api::read_options(options, "mpscnn_metal_photo_options");
    return {pixels,
            chroma,
            raw.ignore_alpha == 0,
            raw.orientation == 0 ? 1 : raw.orientation,
            static_cast<vision::YuvMatrix>(raw.matrix),
            static_cast<vision::YuvRange>(raw.range),
            static_cast<vision::ChromaSiting>(raw.siting)};
}

vision::Preprocess options_of(const char *preprocess, mpscnn_metal_image destination) {
    const Json description = parse_json(c_api::text(preprocess, "preprocess"));
    return vision::preprocess_from_json(JsonView(description, "preprocess"),
                                        metal::feature_channels_of(destination));
}

} // namespace

mpscnn_status mpscnn_metal_preprocess(mpscnn_metal_command_buffer commands, mpscnn_metal_texture pixels,
                                      mpscnn_metal_texture chroma, const mpscnn_metal_photo_options *options,
                                      const char *preprocess, mpscnn_metal_image destination, int image) {
    return c_api::guarded([&] {
        metal::encode_native_photo(commands, photo_of(pixels, chroma, options),
                                   options_of(preprocess, destination), destination, image);
    });
}

mpscnn_status mpscnn_metal_preprocess_buffer(mpscnn_metal_command_buffer commands,
                                             mpscnn_metal_pixel_buffer photo,
                                             const mpscnn_metal_photo_options *options,
                                             const char *preprocess, mpscnn_metal_image destination,
                                             int image) {
    return c_api::guarded([&] {
        metal::encode_pixel_buffer(commands, photo, photo_of(nullptr, nullptr, options),
                                   options_of(preprocess, destination), destination, image);
    });
}

mpscnn_status mpscnn_metal_preprocess_image(mpscnn_metal_command_buffer commands,
                                            mpscnn_metal_drawn_image photo,
                                            const mpscnn_metal_photo_options *options, const char *preprocess,
                                            mpscnn_metal_image destination, int image) {
    return c_api::guarded([&] {
        metal::encode_drawn_image(commands, photo, photo_of(nullptr, nullptr, options),
                                  options_of(preprocess, destination), destination, image);
    });
}

#else

namespace {

mpscnn_status refuse(const char *what) {
    return mpscnn::c_api::guarded([&] {
        mpscnn::fail(mpscnn::ErrorKind::unsupported,
                     std::string(what) + ": this build of mpscnn has no Metal engine");
    });
}

} // namespace

mpscnn_status mpscnn_metal_preprocess(mpscnn_metal_command_buffer, mpscnn_metal_texture, mpscnn_metal_texture,
                                      const mpscnn_metal_photo_options *, const char *, mpscnn_metal_image,
                                      int) {
    return refuse("photos in Metal textures");
}

mpscnn_status mpscnn_metal_preprocess_buffer(mpscnn_metal_command_buffer, mpscnn_metal_pixel_buffer,
                                             const mpscnn_metal_photo_options *, const char *,
                                             mpscnn_metal_image, int) {
    return refuse("pixel buffers");
}

mpscnn_status mpscnn_metal_preprocess_image(mpscnn_metal_command_buffer, mpscnn_metal_drawn_image,
                                            const mpscnn_metal_photo_options *, const char *,
                                            mpscnn_metal_image, int) {
    return refuse("images of Core Graphics");
}

#endif
