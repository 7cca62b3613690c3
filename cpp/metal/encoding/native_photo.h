#pragma once

// An interface without Objective-C for cpp/api: each `void *` is a pointer to a Metal object.

#include <cstdint>

#include "vision/preprocess.h"

namespace mpscnn::metal {

/// A photo in textures, like PhotoTextures but without Objective-C types.
struct NativePhoto {
    void *pixels = nullptr; ///< id<MTLTexture>
    void *chroma = nullptr; ///< id<MTLTexture>; null unless the photo is YUV
    bool has_alpha = true;
    int orientation = 1;
    vision::YuvMatrix matrix = vision::YuvMatrix::bt601;
    vision::YuvRange range = vision::YuvRange::video;
    vision::ChromaSiting siting = vision::ChromaSiting::left;
};

/// Return the feature channels of an MPSImage. Throws ParameterError for null.
int feature_channels_of(void *image);

/// Encode the preprocessing of a photo (encode_preprocess). `commands` is an id<MTLCommandBuffer>, and
/// `destination` an MPSImage. Additionally throws ParameterError for a command buffer that is null or has
/// unretained references, and StateError if it is already committed.
void encode_native_photo(void *commands, const NativePhoto &photo, const vision::Preprocess &options,
                         void *destination, std::int64_t image);

/// Encode the preprocessing of a CVPixelBufferRef or a CGImageRef, which take the place of the photo's
/// textures. A pixel buffer's format determines the range, and its attachments determine the matrix if they
/// include one. Additionally throws ParameterError for null, ShapeError for extents that no texture has,
/// UnsupportedError for other pixel formats and matrices, and DeviceError if the photo cannot be read.
void encode_pixel_buffer(void *commands, void *pixel_buffer, NativePhoto photo,
                         const vision::Preprocess &options, void *destination, std::int64_t image);
void encode_drawn_image(void *commands, void *drawn_image, NativePhoto photo,
                        const vision::Preprocess &options, void *destination, std::int64_t image);

} // namespace mpscnn::metal
