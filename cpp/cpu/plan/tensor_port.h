#pragma once

// Converts between the caller's tensors and the engine's tensors.

#include <optional>

#include "cpu/plan/tensor_layout.h"
#include "engine/backend/backend.h"

namespace mpscnn::cpu {

/// Return the address and strides with which kernels can access the caller's memory directly. Return nothing
/// if they cannot: for float16 elements, addresses or strides that are not multiples of 4 bytes, negative
/// strides, gaps between channels, and gaps where `storage` allows none.
std::optional<Binding> bind_in_place(const engine::TensorView &view, const Storage &storage);

/// Copies between the caller's memory, with any strides and element type, and a storage in the arena. `begin`
/// and `end` count the batch * height rows of the tensor.
class TensorPort {
public:
    TensorPort(const KernelTable &kernels, const engine::TensorView &view, const Extents &extents,
               const Binding &storage);

    std::int64_t rows() const { return extents_.batch * extents_.height; }
    /// Copy rows into the arena; with `round`, values are rounded to half.
    void read(std::int64_t begin, std::int64_t end, bool round) const;
    void write(std::int64_t begin, std::int64_t end) const;

private:
    std::byte *outer_row(std::int64_t row) const;
    float *stored_row(std::int64_t row) const;
    template <class Copy> void for_each_run(std::int64_t begin, std::int64_t end, Copy copy) const;

    const KernelTable &kernels_;
    const engine::TensorView &view_;
    Extents extents_;
    Binding storage_;
    std::ptrdiff_t element_step_ = 0, pixel_step_ = 0; ///< strides of the caller's memory in bytes
};

} // namespace mpscnn::cpu
