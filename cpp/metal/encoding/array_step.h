#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>

#include "core/dtype.h"
#include "engine/run/backend.h"
#include "metal/device/image.h"

#import <Metal/Metal.h>

namespace mpscnn::metal {

/// Distances in elements from one column, row and image of an array to the next; channels are contiguous.
struct Pitches {
    std::int64_t column = 0, row = 0, image = 0;

    static Pitches dense(const ImageLayout &layout);
};

/// An image's elements in GPU memory.
struct ArrayView {
    id<MTLBuffer> buffer = nil;
    DType type = DType::float32; ///< or float16
    Pitches pitches;
    std::size_t offset = 0; ///< bytes before the first pixel
};

/// Return the pitches of an array that holds any number of images with this layout. Empty if a shader cannot
/// reach its elements in steps of columns, rows and images.
std::optional<Pitches> pitches_of(const engine::TensorView &view, const ImageLayout &layout);

/// Return the bytes from the first element to the end of the last. No stride may be negative.
std::size_t span_of(const engine::TensorView &view);

/// A node of a network on arrays that runs on images. Its inputs are copied to images, and its result is
/// copied back.
class ArrayStep {
public:
    virtual ~ArrayStep() = default;
    /// `arrays` are the sources and then the result.
    virtual void encode(id<MTLCommandBuffer> command_buffer, std::span<const ArrayView> arrays) const = 0;
    /// Return the names of the MPS kernels and shaders that it runs, for display.
    virtual std::string kernel() const = 0;
    /// Return the bytes of its temporary images.
    virtual std::size_t bytes() const = 0;
};

} // namespace mpscnn::metal
