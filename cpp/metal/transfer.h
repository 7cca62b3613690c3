#pragma once

#include <array>
#include <cstddef>

#include "core/dtype.h"
#include "metal/encoding.h"
#include "metal/library.h"
#include "shaders/transfer_params.h"

namespace mpscnn::metal {

/// Elements in NHWC order in memory of the GPU.
struct ArrayView {
    id<MTLBuffer> buffer = nil;
    DType type = DType::float32; ///< or float16
    std::int64_t pitch = 0;      ///< channels of a pixel
    std::int64_t first_channel = 0;
    std::size_t offset = 0; ///< in bytes, of the first pixel
};

/// Copies between an image and an array, by shaders/transfer.metal.
class Transfer {
public:
    enum class Direction { to_image, to_array };

    Transfer(Direction direction, const ImageLayout &image, ShaderLibrary &shaders);

    const ImageLayout &layout() const { return layout_; }
    void encode(id<MTLCommandBuffer> command_buffer, const std::string &label, MPSImage *image,
                const ArrayView &array) const;

private:
    ImageLayout layout_;
    std::array<id<MTLComputePipelineState>, 2> pipelines_{}; ///< for float32 and float16 arrays
};

} // namespace mpscnn::metal
