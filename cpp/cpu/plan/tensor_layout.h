#pragma once

// The layout of a plan's tensors. Every tensor is a region of a storage, and a storage is a part of the arena
// or the caller's memory.

#include <cstddef>
#include <cstdint>

#include "core/shape.h"
#include "cpu/isa/kernels.h"

namespace mpscnn::cpu {

/// The extents of a tensor as an image, as kernels see it. (n, features) is an image of one pixel, and (n,
/// width, channels) an image of one row. With more than four axes, all axes between the batch and the last
/// two are rows.
struct Extents {
    std::int64_t batch = 1, height = 1, width = 1, channels = 1;

    std::int64_t pixels() const { return height * width; }
    friend bool operator==(const Extents &, const Extents &) = default;
};

Extents extents_of(const Shape &shape);

/// Distances between adjacent images, rows and pixels, in elements.
struct Strides {
    std::ptrdiff_t image = 0, row = 0, pixel = 0;

    friend bool operator==(const Strides &, const Strides &) = default;
};

/// Return the strides of images without gaps, which are `image` elements apart.
Strides contiguous_strides(const Extents &extents, std::ptrdiff_t image);
/// Replace the strides of axes with extent 1, which have no meaning. Such an axis gets the stride that
/// continues the next outer axis. Then kernels recognise equally spaced pixels as rows of one matrix.
Strides uniform_strides(const Extents &extents, Strides strides);
/// Return the strides of a tensor in the arena. The pixel pitch is rounded up to whole vectors and avoids
/// multiples of 2048 bytes, where many pixels compete for one or two sets of L1. `contiguous` forbids gaps
/// between the pixels of an image.
Strides arena_strides(const Extents &extents, bool contiguous, std::int64_t vector_width,
                      Element element = Element::float32);

/// Memory of one or more tensors.
struct Storage {
    enum class Home {
        arena,
        /// The caller's memory if kernels support it, otherwise the arena, filled before the first step.
        input,
        output ///< the caller's memory if kernels support it, otherwise the arena, copied after the last step
    };
    Home home = Home::arena;
    std::size_t port = 0; ///< index of the graph's input or output that this storage holds
    Extents extents;
    Element element = Element::float32; ///< in the caller's memory always float32
    bool contiguous = false;            ///< the pixels of each image must be without gaps
    Strides strides;                    ///< strides if it is in the arena
    std::size_t offset = 0;             ///< offset in the arena in bytes
    bool read = false;                  ///< true if a step reads the storage

    std::size_t bytes() const;
};

/// The address and strides of a storage during one run.
struct Binding {
    float *data = nullptr; ///< the storage's first element
    Strides strides;
    bool own = true; ///< true in the arena, where memory between pixels may be overwritten
};

/// A tensor inside a storage.
struct Region {
    int storage = -1;
    Extents extents;
    /// The extents of the whole storage in the axes of this region. After a reshape they differ from the
    /// storage's own extents.
    Extents whole;
    std::int64_t y = 0, x = 0, channel = 0; ///< the position where the region begins
    /// Distance of adjacent rows and columns of the region in the storage.
    std::int64_t row_step = 1, column_step = 1;

    View bind(const Binding &binding, const Storage &home) const;
    friend bool operator==(const Region &, const Region &) = default;
};

} // namespace mpscnn::cpu
