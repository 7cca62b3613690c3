#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "core/shape.h"
#include "engine/backend/backend.h"
#include "shaders/image_params.h"

#import <MetalPerformanceShaders/MetalPerformanceShaders.h>

namespace mpscnn::metal {

/// The extents and precision of an MPSImage. A tensor (n, height, width, channels) is n images. (n, width,
/// channels) are images of one row, and (n, features) images of one pixel. With more axes, all axes between
/// the batch and the last two are rows.
struct ImageLayout {
    std::int64_t images = 1, height = 1, width = 1, channels = 1;
    engine::Precision precision = engine::Precision::float32; ///< precision of its elements

    /// Return the slices of one image; each holds four feature channels.
    std::int64_t slices() const { return (channels + 3) / 4; }
    bool is_array() const { return images > 1 || channels > 4; }
    std::int64_t elements() const { return images * height * width * channels; }
    std::size_t bytes() const;
    /// Return the largest number of such images that fit into one MPSImage.
    std::int64_t max_images() const;

    /// Return the same layout with float32 elements.
    ImageLayout unrounded() const;
    ImageParams params() const;
    /// Return an autoreleased descriptor for a temporary image with this layout.
    MPSImageDescriptor *descriptor() const;

    friend bool operator==(const ImageLayout &, const ImageLayout &) = default;
};

/// Return the extents (height, width, channels) of a tensor as an image. All extents except the batch must be
/// fixed.
Shape image_extents(const Shape &shape);
/// Return the layout of one image of a fixed shape.
ImageLayout image_layout(const Shape &shape, engine::Precision precision);

/// Return the number of the first image of each pass, if passes of `size` images compute a batch. All passes
/// have the same size, because the extents of steps are fixed. The last pass may therefore recompute some
/// images.
inline std::vector<std::int64_t> passes_over(std::int64_t batch, std::int64_t size) {
    std::vector<std::int64_t> passes;
    for (std::int64_t first = 0; first < batch; first += size)
        passes.push_back(std::min(first, batch - size));
    return passes;
}

} // namespace mpscnn::metal
