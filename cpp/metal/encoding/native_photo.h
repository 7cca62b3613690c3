#pragma once

// For cpp/api, which knows no Objective-C: `void *` points to objects of Metal's.

#include <cstdint>

#include "vision/preprocess.h"

namespace mpscnn::metal {

/// See PhotoTextures.
struct NativePhoto {
    void *pixels = nullptr; ///< id<MTLTexture>
    void *chroma = nullptr; ///< id<MTLTexture> or null
    bool has_alpha = true;
    int orientation = 1;
    vision::YuvMatrix matrix = vision::YuvMatrix::bt601;
    vision::YuvRange range = vision::YuvRange::video;
    vision::ChromaSiting siting = vision::ChromaSiting::left;
};

/// Feature channels of an MPSImage. Throws ParameterError for null.
int feature_channels_of(void *image);

/// encode_preprocess for an id<MTLCommandBuffer> and an MPSImage. Throws besides ParameterError for a command
/// buffer that is null or does not retain what it uses, StateError for one that is committed.
void encode_native_photo(void *commands, const NativePhoto &photo, const vision::Preprocess &options,
                         void *destination, std::int64_t image);

/// The same for a CVPixelBufferRef and a CGImageRef, which take the place of the photo's textures. A pixel
/// buffer's format decides the range, and the matrix where one is attached. Throws besides ParameterError for
/// null, ShapeError for extents that no texture has, UnsupportedError for another pixel format or matrix,
/// DeviceError where the photo cannot be read.
void encode_pixel_buffer(void *commands, void *pixel_buffer, NativePhoto photo,
                         const vision::Preprocess &options, void *destination, std::int64_t image);
void encode_drawn_image(void *commands, void *drawn_image, NativePhoto photo,
                        const vision::Preprocess &options, void *destination, std::int64_t image);

} // namespace mpscnn::metal
