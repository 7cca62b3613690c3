#pragma once

#include <cstdint>

#include "core/shape.h"
#include "engine/backend.h"
#include "shaders/image_params.h"

#import <MetalPerformanceShaders/MetalPerformanceShaders.h>

namespace mpscnn::metal {

/// Extents of an MPSImage. A tensor (n, height, width, channels) is an image, (n, features) one of one pixel.
struct ImageLayout {
    std::int64_t images = 1, height = 1, width = 1, channels = 1;

    /// Slices of one image: each holds four feature channels.
    std::int64_t slices() const { return (channels + 3) / 4; }
    bool is_array() const { return images > 1 || channels > 4; }
    std::int64_t elements() const { return images * height * width * channels; }
    std::size_t bytes(engine::Precision precision) const;
    /// Largest number of such images that fit into one MPSImage.
    std::int64_t most_images() const;

    ImageParams params() const;
    /// Autoreleased; for a temporary image.
    MPSImageDescriptor *descriptor(engine::Precision precision) const;

    friend bool operator==(const ImageLayout &, const ImageLayout &) = default;
};

/// `shape` is fixed and not among those that ops/refusals.h has for tensors.
ImageLayout image_layout(const Shape &shape);

} // namespace mpscnn::metal
