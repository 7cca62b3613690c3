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

/// Elements from one column, row and image of an array to the next; channels lie side by side.
struct Pitches {
    std::int64_t column = 0, row = 0, image = 0;

    static Pitches dense(const ImageLayout &layout);
};

/// Elements of an image in memory of the GPU.
struct ArrayView {
    id<MTLBuffer> buffer = nil;
    DType type = DType::float32; ///< or float16
    Pitches pitches;
    std::size_t offset = 0; ///< in bytes, of the first pixel
};

/// Of an array that holds images of this layout, any number of them; nothing for one whose elements a shader
/// cannot reach in steps of columns, rows and images.
std::optional<Pitches> pitches_of(const engine::TensorView &view, const ImageLayout &layout);

/// From the first element to the end of the last. No stride is negative.
std::size_t span_of(const engine::TensorView &view);

/// A node of a network on arrays that runs on images: what it reads and writes is copied to these and back.
class ArrayStep {
public:
    virtual ~ArrayStep() = default;
    /// `arrays` are those of the sources, then that of the result.
    virtual void encode(id<MTLCommandBuffer> command_buffer, std::span<const ArrayView> arrays) const = 0;
    /// For people: the kernels of MPS and the shaders that it runs.
    virtual std::string kernel() const = 0;
    /// Of its temporary images.
    virtual std::size_t bytes() const = 0;
};

} // namespace mpscnn::metal
