#include "metal/encoding/native_photo.h"

#include "core/error.h"
#include "metal/encoding/encoding.h"
#include "metal/encoding/preprocess.h"

namespace mpscnn::metal {

int feature_channels_of(void *image) {
    if (!image) fail(ErrorKind::parameter, "preprocess: the destination is nil");
    return static_cast<int>([static_cast<MPSImage *>(image) featureChannels]);
}

void encode_native_photo(void *commands, const NativePhoto &photo, const vision::Preprocess &options,
                         void *destination, std::int64_t image) {
    const autorelease_scope pool;
    auto command_buffer = static_cast<id<MTLCommandBuffer>>(commands);
    require_command_buffer(command_buffer);
    const PhotoTextures textures{static_cast<id<MTLTexture>>(photo.pixels),
                                 static_cast<id<MTLTexture>>(photo.chroma),
                                 photo.has_alpha,
                                 photo.orientation,
                                 photo.matrix,
                                 photo.range,
                                 photo.siting};
    const auto device = Device::of([command_buffer device], [command_buffer commandQueue]);
    device->require_usable();
    encode_preprocess(command_buffer, *device, textures, options, static_cast<MPSImage *>(destination),
                      image);
}

} // namespace mpscnn::metal
