#include "metal/encoding/image_copy.h"

#include "core/text.h"
#include "metal/encoding/encoding.h"
#include "shaders/copy_params.h"

namespace mpscnn::metal {

namespace {

static_assert(sizeof(CopyParams) == 7 * sizeof(int));

/// A caller's texture may be an array although one without slices would do.
std::string texture_name_of(MPSImage *image) {
    return [image textureType] == MTLTextureType2DArray ? "texture2d_array" : "texture2d";
}

/// Unorm textures take floats as well.
std::string element_name_of(MPSImage *image) {
    return [image featureChannelFormat] == MPSImageFeatureChannelFormatFloat16 ? "half" : "float";
}

} // namespace

void encode_copy(id<MTLCommandBuffer> command_buffer, Device &device, const std::string &label,
                 const ImageLayout &extents, const ImagePlace &source, const ImagePlace &destination) {
    const auto slice = [&](const ImagePlace &place) {
        return static_cast<unsigned int>(place.first_image * extents.slices());
    };
    const CopyParams params{extents.params(), slice(source), slice(destination)};
    const std::string function = concat({"copy_", element_name_of(destination.image), "_", texture_name_of(source.image), "_", texture_name_of(destination.image)});
    Dispatch dispatch(command_buffer, label, device.shaders().pipeline(function));
    dispatch.texture(source.image, 0);
    dispatch.texture(destination.image, 1);
    dispatch.bytes(std::as_bytes(std::span(&params, 1)), 0);
    dispatch.run(extents);
}

} // namespace mpscnn::metal
