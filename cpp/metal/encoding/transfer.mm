#include "metal/encoding/transfer.h"

#include "core/text.h"
#include "metal/encoding/encoding.h"
#include "shaders/copy_params.h"

namespace mpscnn::metal {

/// The alignment that Metal requires of a buffer's offset.
constexpr std::size_t offset_alignment = 4;

static_assert(sizeof(TransferParams) == 10 * sizeof(int) && sizeof(ImageParams) == 5 * sizeof(int));

Transfer::Transfer(Direction direction, const ImageLayout &image, ShaderLibrary &shaders) : layout_(image) {
    const char *const arrays[] = {"float", "half"};
    for (std::size_t i = 0; i < pipelines_.size(); ++i) {
        const std::string array = arrays[i];
        pipelines_[i] =
            direction == Direction::to_image
                ? shaders.pipeline(concat({"buffer_to_image_", array, "_", image_type_name(image)}))
                : shaders.pipeline(concat({"image_to_buffer_", array, "_", texture_name(image)}));
    }
}

void Transfer::encode(id<MTLCommandBuffer> command_buffer, const std::string &label, MPSImage *image,
                      const ArrayView &array) const {
    encode(command_buffer, label, std::span(&image, 1), array);
}

void Transfer::encode(id<MTLCommandBuffer> command_buffer, const std::string &label,
                      std::span<MPSImage *const> images, const ArrayView &array) const {
    Dispatch dispatch(command_buffer, label,
                      pipelines_[array.type == DType::float32 ? std::size_t{0} : std::size_t{1}]);
    std::size_t offset = array.offset;
    const auto &[column, row, next] = array.pitches;
    const bool pitches_by_four = column % 4 == 0 && row % 4 == 0 && next % 4 == 0;
    for (MPSImage *image : images) {
        const std::size_t beyond = offset % offset_alignment;
        const bool by_four = pitches_by_four && offset % (4 * size_of(array.type)) == 0;
        const TransferParams params{layout_.params(),
                                    static_cast<unsigned int>(array.pitches.column),
                                    static_cast<unsigned int>(array.pitches.row),
                                    static_cast<unsigned int>(array.pitches.image),
                                    static_cast<unsigned int>(beyond / size_of(array.type)),
                                    by_four ? 1 : 0};
        dispatch.texture(image, 0);
        dispatch.buffer(array.buffer, offset - beyond, 0);
        dispatch.bytes(std::as_bytes(std::span(&params, 1)), 1);
        dispatch.run(layout_);
        offset += static_cast<std::size_t>(array.pitches.image * layout_.images) * size_of(array.type);
    }
}

namespace {

static_assert(sizeof(CopyParams) == 7 * sizeof(int));

/// Return the texture type of an image from its texture. A caller's texture may be an array although its size
/// does not require one.
std::string texture_name_of(MPSImage *image) {
    return [image textureType] == MTLTextureType2DArray ? "texture2d_array" : "texture2d";
}

/// Return the element type with which shaders access an image. They access unorm textures as floats.
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
    const std::string function =
        concat({"copy_", element_name_of(destination.image), "_", texture_name_of(source.image), "_",
                texture_name_of(destination.image)});
    Dispatch dispatch(command_buffer, label, device.shaders().pipeline(function));
    dispatch.texture(source.image, 0);
    dispatch.texture(destination.image, 1);
    dispatch.bytes(std::as_bytes(std::span(&params, 1)), 0);
    dispatch.run(extents);
}

} // namespace mpscnn::metal
