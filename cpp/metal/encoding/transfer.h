#pragma once

#include <array>
#include <span>
#include <string>

#include "metal/device/device.h"
#include "metal/device/image.h"
#include "metal/device/library.h"
#include "metal/encoding/array_step.h"
#include "metal/encoding/encoding.h"
#include "shaders/transfer_params.h"

namespace mpscnn::metal {

/// Copies elements between an image and an array, with shaders/transfer.metal.
class Transfer {
public:
    enum class Direction { to_image, to_array };

    Transfer(Direction direction, const ImageLayout &image, ShaderLibrary &shaders);

    const ImageLayout &layout() const { return layout_; }
    void encode(id<MTLCommandBuffer> command_buffer, const std::string &label, MPSImage *image,
                const ArrayView &array) const;
    /// Copy between several images and an array, in which the images are adjacent.
    void encode(id<MTLCommandBuffer> command_buffer, const std::string &label,
                std::span<MPSImage *const> images, const ArrayView &array) const;

private:
    ImageLayout layout_;
    std::array<id<MTLComputePipelineState>, 2> pipelines_{}; ///< for float32 and float16 arrays
};

/// An MPSImage, and the number of the first of its images to use.
struct ImagePlace {
    MPSImage *image = nil;
    std::int64_t first_image = 0;
};

/// Copy images that have this layout's extents, with shaders/copy.metal. Source and destination may have any
/// format.
void encode_copy(id<MTLCommandBuffer> command_buffer, Device &device, const std::string &label,
                 const ImageLayout &extents, const ImagePlace &source, const ImagePlace &destination);

} // namespace mpscnn::metal
