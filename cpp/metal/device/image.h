#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "core/shape.h"
#include "engine/run/backend.h"
#include "shaders/image_params.h"

#import <MetalPerformanceShaders/MetalPerformanceShaders.h>

namespace mpscnn::metal {

/// What an MPSImage is. A tensor (n, height, width, channels) is an image, (n, width, channels) one of one
/// row, (n, features) one of one pixel; axes beyond these count as rows.
struct ImageLayout {
    std::int64_t images = 1, height = 1, width = 1, channels = 1;
    engine::Precision precision = engine::Precision::float32; ///< of its elements

    /// Slices of one image: each holds four feature channels.
    std::int64_t slices() const { return (channels + 3) / 4; }
    bool is_array() const { return images > 1 || channels > 4; }
    std::int64_t elements() const { return images * height * width * channels; }
    std::size_t bytes() const;
    /// Largest number of such images that fit into one MPSImage.
    std::int64_t max_images() const;

    /// The same with float elements.
    ImageLayout unrounded() const;
    ImageParams params() const;
    /// Autoreleased; for a temporary image.
    MPSImageDescriptor *descriptor() const;

    friend bool operator==(const ImageLayout &, const ImageLayout &) = default;
};

/// (height, width, channels) of the image of a tensor whose extents but the batch are fixed.
Shape image_extents(const Shape &shape);
/// Of one image of a fixed shape.
ImageLayout image_layout(const Shape &shape, engine::Precision precision);

/// First images of passes of `size` images that cover a batch. All have one size; the last computes some
/// images again rather than being smaller, so that steps know their extents.
inline std::vector<std::int64_t> passes_over(std::int64_t batch, std::int64_t size) {
    std::vector<std::int64_t> passes;
    for (std::int64_t first = 0; first < batch; first += size)
        passes.push_back(std::min(first, batch - size));
    return passes;
}

} // namespace mpscnn::metal
