#include "metal/encoding/preprocess.h"

#include <algorithm>
#include <array>
#include <string>

#include "metal/encoding/caller_image.h"
#include "metal/encoding/encoding.h"
#include "shaders/preprocess_params.h"
#include "vision/image_view.h"
#include "vision/placement.h"

namespace mpscnn::metal {

namespace {

static_assert(sizeof(PreprocessParams) == 33 * sizeof(int));

constexpr int max_components = 4;

/// Return the number of components of a format that a photo may have, and 0 for other formats. sRGB formats
/// are not supported, because shaders would read linear values.
int components_of(MTLPixelFormat format) {
    switch (format) {
    case MTLPixelFormatR8Unorm:
    case MTLPixelFormatR16Unorm:
    case MTLPixelFormatR16Float:
    case MTLPixelFormatR32Float:
        return 1;
    case MTLPixelFormatRG8Unorm:
    case MTLPixelFormatRG16Unorm:
        return 2;
    case MTLPixelFormatRGBA8Unorm:
    case MTLPixelFormatBGRA8Unorm:
    case MTLPixelFormatRGBA16Unorm:
    case MTLPixelFormatRGBA16Float:
    case MTLPixelFormatRGBA32Float:
        return max_components;
    default:
        return 0;
    }
}

void require_texture(id<MTLTexture> texture, const std::string &what, id<MTLDevice> device) {
    if ([texture device] != device)
        fail(ErrorKind::parameter, {what, " belongs to another Metal device than the command buffer"});
    if ([texture textureType] != MTLTextureType2D)
        fail(ErrorKind::parameter, {what, " must be of type MTLTextureType2D, got type ",
                                    static_cast<std::size_t>([texture textureType])});
    const MTLTextureUsage usage = [texture usage];
    if (usage != MTLTextureUsageUnknown && (usage & MTLTextureUsageShaderRead) == 0)
        fail(ErrorKind::parameter, {what, " was made without MTLTextureUsageShaderRead"});
}

void require_components(id<MTLTexture> texture, const std::string &what, std::initializer_list<int> allowed,
                        const char *formats) {
    const int found = components_of([texture pixelFormat]);
    if (std::find(allowed.begin(), allowed.end(), found) == allowed.end())
        fail(ErrorKind::parameter, {what, ": the pixel format must be ", formats, ", got number ",
                                    static_cast<std::size_t>([texture pixelFormat])});
}

void require_photo(const PhotoTextures &photo, id<MTLDevice> device) {
    if (!photo.pixels) fail(ErrorKind::parameter, "photo: the texture is nil");
    require_texture(photo.pixels, "photo: the texture", device);
    if (!photo.chroma)
        return require_components(photo.pixels, "photo", {1, max_components},
                                  "R, RGBA or BGRA of 8 or 16 bit unorm, 16 or 32 bit float");
    vision::check_yuv(photo.matrix, photo.range, photo.siting);
    require_components(photo.pixels, "photo: the luma", {1}, "R of 8 or 16 bit unorm, 16 or 32 bit float");
    require_texture(photo.chroma, "photo: the texture of colour differences", device);
    require_components(photo.chroma, "photo: the colour differences", {2}, "RG8Unorm or RG16Unorm");
    const auto half = [](NSUInteger extent) { return (extent + 1) / 2; };
    const NSUInteger width = half([photo.pixels width]), height = half([photo.pixels height]);
    if ([photo.chroma width] != width || [photo.chroma height] != height)
        fail(ErrorKind::shape, {"photo: ", width, " x ", height, " colour differences go with its luma, got ",
                                [photo.chroma width], " x ", [photo.chroma height]});
}

void require_destination(MPSImage *destination, std::int64_t image, const vision::Preprocess &options,
                         id<MTLDevice> device) {
    const std::string what = "preprocess: the destination";
    if (!destination) fail(ErrorKind::parameter, {what, " is nil"});
    if ([destination device] != device)
        fail(ErrorKind::parameter, {what, " belongs to another Metal device than the command buffer"});
    if (static_cast<int>([destination featureChannels]) != options.channels())
        fail(ErrorKind::shape, {what, " has ", [destination featureChannels],
                                " feature channels, the channel order makes ", options.channels()});
    if (image < 0 || image >= static_cast<std::int64_t>([destination numberOfImages]))
        fail(ErrorKind::parameter,
             {what, " has ", [destination numberOfImages], " images, there is no number ", image});
    const MPSImageFeatureChannelFormat format = [destination featureChannelFormat];
    if (format != MPSImageFeatureChannelFormatFloat16 && format != MPSImageFeatureChannelFormatFloat32)
        fail(ErrorKind::parameter, {what, " must have feature channels of Float16 or Float32"});
    require_image_use(destination, what, MTLTextureUsageShaderWrite, "MTLTextureUsageShaderWrite");
}

/// Return a view of the photo in which only the fields that determine the samples are set.
vision::ImageView view_of(const PhotoTextures &photo) {
    vision::ImageView view;
    view.width = static_cast<int>([photo.pixels width]);
    view.height = static_cast<int>([photo.pixels height]);
    view.orientation = photo.orientation;
    if (view.orientation < 1 || view.orientation > 8)
        fail(ErrorKind::parameter, {"photo: orientation is ", view.orientation, ", EXIF defines 1..8"});
    return view;
}

PhotoSampling sampling_of(const PhotoTextures &photo, const vision::ImageView &view,
                          const vision::Placement &placement, vision::Filter filter) {
    const vision::Axis &across = placement.across.axis, &down = placement.down.axis;
    const std::optional<vision::ChromaSiting> siting =
        photo.chroma ? std::optional(photo.siting) : std::nullopt;
    return {view.transposed() ? down : across,
            view.transposed() ? across : down,
            filter,
            view.columns_reversed(),
            view.rows_reversed(),
            siting};
}

/// Return the layout of one image.
ImageLayout layout_of(MPSImage *image) {
    ImageLayout layout;
    layout.height = static_cast<std::int64_t>([image height]);
    layout.width = static_cast<std::int64_t>([image width]);
    layout.channels = static_cast<std::int64_t>([image featureChannels]);
    return layout;
}

/// Return the texture type of an image from its texture. A caller's texture may be an array although its size
/// does not require one.
std::string type_name_of(MPSImage *image) {
    const bool half = [image featureChannelFormat] == MPSImageFeatureChannelFormatFloat16,
               array = [image textureType] == MTLTextureType2DArray;
    return std::string(half ? "half" : "float") + (array ? "_texture2d_array" : "_texture2d");
}

PreprocessParams params_of(const PhotoTextures &photo, const vision::ImageView &view,
                           const vision::Placement &placement, const vision::Preprocess &options,
                           const ImageLayout &grid, std::int64_t image) {
    PreprocessParams params{};
    params.destination = grid.params();
    params.image = static_cast<unsigned int>(image);
    params.left = static_cast<unsigned int>(placement.across.first_output);
    params.top = static_cast<unsigned int>(placement.down.first_output);
    params.width = static_cast<unsigned int>(placement.across.axis.outputs);
    params.height = static_cast<unsigned int>(placement.down.axis.outputs);
    params.transposed = view.transposed() ? 1 : 0;
    const int components = components_of([photo.pixels pixelFormat]);
    params.gray_photo = components == 1 && !photo.chroma ? 1 : 0;
    params.uses_alpha = components == max_components && photo.has_alpha ? 1 : 0;
    params.bgr = options.order == vision::ChannelOrder::bgr ? 1 : 0;
    params.limits = options.filter == vision::Filter::bicubic_antialias ? 2
                    : vision::overshoots(options.filter)                ? 1
                                                                        : 0;
    params.rows_first = vision::columns_come_first(placement) == view.transposed() ? 1 : 0;
    std::copy(options.letterbox_value.begin(), options.letterbox_value.end(), params.bar);
    std::copy(options.mean.begin(), options.mean.end(), params.mean);
    std::copy(options.scale.begin(), options.scale.end(), params.scale);
    const vision::YuvToRgb yuv = vision::yuv_to_rgb(photo.matrix, photo.range);
    params.black = yuv.black;
    params.luma_factor = yuv.luma_factor;
    std::copy(yuv.blue_factors.begin(), yuv.blue_factors.end(), params.blue_factors);
    std::copy(yuv.red_factors.begin(), yuv.red_factors.end(), params.red_factors);
    return params;
}

} // namespace

void encode_preprocess(id<MTLCommandBuffer> command_buffer, Device &device, const PhotoTextures &photo,
                       const vision::Preprocess &options, MPSImage *destination, std::int64_t image) {
    vision::check(options);
    if (options.fit == vision::Fit::digit)
        fail(ErrorKind::unsupported,
             "preprocess: fit 'digit' is not there on Metal, since where the digit lies "
             "depends on all of the photo; use mpscnn_preprocess");
    require_photo(photo, [command_buffer device]);
    require_destination(destination, image, options, [command_buffer device]);
    if ([destination texture] == photo.pixels)
        fail(ErrorKind::parameter, "preprocess: the photo and the destination are one texture");

    const vision::ImageView view = view_of(photo);
    const ImageLayout grid = layout_of(destination);
    const vision::Placement placement =
        vision::place(view, options, static_cast<int>(grid.height), static_cast<int>(grid.width));
    const PreprocessParams params = params_of(photo, view, placement, options, grid, image);
    const PhotoTables tables =
        device.photo_tables().get(device, sampling_of(photo, view, placement, options.filter));

    const std::string function = photo.chroma ? "preprocess_yuv_" : "preprocess_";
    Dispatch dispatch(command_buffer, "preprocess",
                      device.shaders().pipeline(function + type_name_of(destination)));
    dispatch.texture(photo.pixels, 0);
    dispatch.texture(destination, 1);
    if (photo.chroma) dispatch.texture(photo.chroma, 2);
    dispatch.bytes(std::as_bytes(std::span(&params, 1)), 0);
    dispatch.buffer(tables.taps.get(), 0, 1);
    dispatch.buffer(tables.weights.get(), 0, 2);
    dispatch.run(grid);
}

} // namespace mpscnn::metal
