#pragma once

// Where tensors of a plan lie: every tensor is a region of a storage, which is a part of the arena or memory
// that the caller hands in.

#include <cstddef>
#include <cstdint>

#include "core/shape.h"
#include "cpu/isa/kernels.h"

namespace mpscnn::cpu {

/// A tensor as kernels see it. (n, features) is an image of one pixel, (n, width, channels) has one row, and
/// of more than four axes those before the last two are all rows.
struct Extents {
    std::int64_t batch = 1, height = 1, width = 1, channels = 1;

    std::int64_t pixels() const { return height * width; }
    friend bool operator==(const Extents &, const Extents &) = default;
};

Extents extents_of(const Shape &shape);

/// In elements.
struct Strides {
    std::ptrdiff_t image = 0, row = 0, pixel = 0;

    friend bool operator==(const Strides &, const Strides &) = default;
};

/// Images without gaps, `image` apart.
Strides contiguous_strides(const Extents &extents, std::ptrdiff_t image);
/// An axis of extent 1 has no stride of its own: it gets the one with which it continues the axis around it,
/// so that kernels recognise pixels at one distance from each other as rows of one matrix.
Strides uniform_strides(const Extents &extents, Strides strides);
/// Strides of a tensor in the arena: the pixel pitch is rounded up to whole vectors and avoids multiples of
/// 2048 bytes, at which many pixels compete for one set of L1. `contiguous` forbids gaps
/// between the pixels of an image.
Strides arena_strides(const Extents &extents, bool contiguous, std::int64_t vector_width,
                      Element element = Element::float32);

/// Memory of one or more tensors.
struct Storage {
    enum class Home {
        arena,
        input, ///< the caller's memory where kernels can use it, otherwise the arena, filled before the first
               ///< step
        output ///< the caller's memory where kernels can use it, otherwise the arena, copied after the last
               ///< step
    };
    Home home = Home::arena;
    std::size_t port = 0; ///< index among the graph's inputs or outputs
    Extents extents;
    Element element = Element::float32; ///< in the arena only anything else
    bool contiguous = false;            ///< each image must be free of gaps
    Strides strides;                    ///< in the arena
    std::size_t offset = 0;             ///< in the arena, in bytes
    bool read = false;                  ///< by a step

    std::size_t bytes() const;
};

/// Where a storage lies during one run.
struct Binding {
    float *data = nullptr; ///< where the storage's elements begin
    Strides strides;
    bool own = true; ///< lies in the arena: what lies between pixels may be overwritten
};

/// A tensor within a storage.
struct Region {
    int storage = -1;
    Extents extents;
    Extents whole; ///< the tensor that the storage is taken for; differs from the storage's after a reshape
    std::int64_t y = 0, x = 0, channel = 0;     ///< where the region begins in it
    std::int64_t row_step = 1, column_step = 1; ///< distance of the region's rows and columns in it

    View bind(const Binding &binding, const Storage &home) const;
    friend bool operator==(const Region &, const Region &) = default;
};

} // namespace mpscnn::cpu
