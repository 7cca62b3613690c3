#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "metal/encoding/array_view.h"

namespace mpscnn::metal {

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
