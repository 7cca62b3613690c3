#pragma once

#include <cstdint>
#include <string>

#include "core/error.h"
#include "ops/operation.h"

namespace mpscnn::kernels {

/// The number format of an image's feature channels, with the numbers of MPSImageFeatureChannelFormat.
/// Kernels compute in float32 for every format.
enum class ImageFormat {
    unorm8 = 1,  ///< integers 0 .. 255 stand for 0 .. 1
    unorm16 = 2, ///< integers 0 .. 65535 stand for 0 .. 1
    float16 = 3,
    float32 = 4
};

std::size_t bytes_of(ImageFormat format);

/// Size of an image of feature channels, as in MPSImageDescriptor. It has `number_of_images` images of
/// height x width pixels. The channels of a pixel are stored in slices of four.
struct ImageDescriptor {
    std::int64_t width = 1, height = 1, feature_channels = 1, number_of_images = 1;
    ImageFormat format = ImageFormat::float32;

    static constexpr std::int64_t slice_channels = 4;

    /// Return the number of slices of one image.
    std::int64_t slices() const { return (feature_channels + slice_channels - 1) / slice_channels; }
    /// Throws ParameterError unless all extents are positive and an image of this size can be addressed.
    void check() const;
    /// Return a text such as "640 x 480 x 3", or "2 images of 640 x 480 x 3" for several images.
    std::string text() const;

    friend bool operator==(const ImageDescriptor &, const ImageDescriptor &) = default;
};

} // namespace mpscnn::kernels

namespace mpscnn::ops {

template <> struct EnumNames<kernels::ImageFormat> {
    static constexpr std::array<std::pair<const char *, kernels::ImageFormat>, 4> values{
        {{"unorm8", kernels::ImageFormat::unorm8},
         {"unorm16", kernels::ImageFormat::unorm16},
         {"float16", kernels::ImageFormat::float16},
         {"float32", kernels::ImageFormat::float32}}};
};

} // namespace mpscnn::ops
