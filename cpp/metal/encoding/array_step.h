#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>

#include "core/dtype.h"
#include "engine/backend/backend.h"
#include "metal/device/image.h"

#import <Metal/Metal.h>

namespace mpscnn::metal {

/// Strides of an array in elements: from one column, row and image to the next. Channels are contiguous.
struct Pitches {
    std::int64_t column = 0, row = 0, image = 0;

    static Pitches dense(const ImageLayout &layout);
};

/// An image's elements in GPU memory, in NHWC order.
struct ArrayView {
    id<MTLBuffer> buffer = nil;
    DType type = DType::float32; ///< float32 or float16
    Pitches pitches;
    std::size_t offset = 0; ///< bytes before the first pixel
};

/// Return the strides of an array that holds any number of images with this layout. Return nothing if
/// columns, rows and images are not at regular distances that a shader can use.
std::optional<Pitches> pitches_of(const engine::TensorView &view, const ImageLayout &layout);

/// Return the number of bytes from the beginning of the first element to the end of the last. No stride may
/// be negative.
std::size_t span_of(const engine::TensorView &view);

/// A step on images in a network on arrays. Its inputs are copied to images, and its result is copied back to
/// an array.
class ArrayStep {
public:
    virtual ~ArrayStep() = default;
    /// Encode the step. `arrays` are the sources and then the result.
    virtual void encode(id<MTLCommandBuffer> command_buffer, std::span<const ArrayView> arrays) const = 0;
    /// Return the names of the MPS kernels and shaders that it runs, for display.
    virtual std::string kernel() const = 0;
    /// Return the bytes of its temporary images.
    virtual std::size_t bytes() const = 0;
};

} // namespace mpscnn::metal
