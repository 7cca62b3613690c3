#include "cpu/plan/tensor_port.h"

#include <algorithm>
#include <cstring>

namespace mpscnn::cpu {

using engine::TensorView;

namespace {

constexpr std::int64_t chunk = 256; ///< elements converted together, on the stack

/// Return the stride of an axis in bytes. For an axis that does not exist or has extent 1 the stride has no
/// meaning, so return `otherwise`.
std::ptrdiff_t stride_of(const TensorView &view, int axis, std::ptrdiff_t otherwise) {
    return axis < 0 || view.shape[axis] == 1 ? otherwise : view.strides[static_cast<std::size_t>(axis)];
}

bool has_contiguous_images(const TensorView &view) {
    auto expected = static_cast<std::ptrdiff_t>(size_of(view.type));
    for (int axis = view.shape.rank() - 1; axis > 0; --axis) {
        if (stride_of(view, axis, expected) != expected) return false;
        expected *= view.shape[axis];
    }
    return true;
}

bool is_aligned(const TensorView &view) {
    const auto size = static_cast<std::ptrdiff_t>(size_of(view.type));
    if (reinterpret_cast<std::uintptr_t>(view.data) % static_cast<std::uintptr_t>(size) != 0) return false;
    for (int axis = 0; axis < view.shape.rank(); ++axis)
        if (stride_of(view, axis, 0) % size != 0) return false;
    return true;
}

} // namespace

std::optional<Binding> bind_in_place(const TensorView &view, const Storage &storage) {
    constexpr std::ptrdiff_t size = sizeof(float);
    const int rank = view.shape.rank();
    if (view.type != DType::float32 || !is_aligned(view) || stride_of(view, rank - 1, size) != size)
        return std::nullopt;
    if (storage.contiguous && !has_contiguous_images(view)) return std::nullopt;
    for (int axis = 0; axis < rank; ++axis)
        if (stride_of(view, axis, 0) < 0) return std::nullopt;

    const Extents &extents = storage.extents;
    Strides strides;
    strides.pixel = rank > 2 ? stride_of(view, rank - 2, extents.channels * size) / size : extents.channels;
    // Tensors with more than four axes are contiguous here; their middle axes together form the rows.
    strides.row = rank == 4 ? stride_of(view, 1, extents.width * strides.pixel * size) / size
                            : extents.width * strides.pixel;
    strides.image = stride_of(view, 0, extents.height * strides.row * size) / size;
    return Binding{static_cast<float *>(view.data), strides, false};
}

TensorPort::TensorPort(const KernelTable &kernels, const TensorView &view, const Extents &extents,
                       const Binding &storage)
    : kernels_(kernels), view_(view), extents_(extents), storage_(storage) {
    const auto size = static_cast<std::ptrdiff_t>(size_of(view.type));
    const int rank = view.shape.rank();
    element_step_ = stride_of(view, rank - 1, size);
    pixel_step_ = rank > 2 ? stride_of(view, rank - 2, extents.channels * size) : extents.channels * size;
}

/// Return the address of a row in the caller's memory. Rows are counted by all axes except the last two, and
/// in a matrix by all except the last.
std::byte *TensorPort::outer_row(std::int64_t row) const {
    auto *address = static_cast<std::byte *>(view_.data);
    for (int axis = std::max(view_.shape.rank() - 3, 0); axis >= 0; --axis) {
        address += row % view_.shape[axis] * view_.strides[static_cast<std::size_t>(axis)];
        row /= view_.shape[axis];
    }
    return address;
}

float *TensorPort::stored_row(std::int64_t row) const {
    return storage_.data + row / extents_.height * storage_.strides.image +
           row % extents_.height * storage_.strides.row;
}

/// Call copy(address in the caller's memory, address in the storage, count) for runs of elements. Within a
/// run, elements have a constant distance on each side.
template <class Copy> void TensorPort::for_each_run(std::int64_t begin, std::int64_t end, Copy copy) const {
    const bool merged = pixel_step_ == extents_.channels * element_step_ &&
                        (extents_.width == 1 || storage_.strides.pixel == extents_.channels);
    const std::int64_t pieces = merged ? 1 : extents_.width;
    const std::int64_t elements = extents_.channels * (merged ? extents_.width : 1);
    for (std::int64_t row = begin; row < end; ++row)
        for (std::int64_t piece = 0; piece < pieces; ++piece) {
            std::byte *outer = outer_row(row) + piece * pixel_step_;
            float *stored = stored_row(row) + piece * storage_.strides.pixel;
            for (std::int64_t i = 0; i < elements; i += chunk)
                copy(outer + i * element_step_, stored + i, std::min(chunk, elements - i));
        }
}

namespace {

/// Copy elements with any distance and alignment into contiguous memory.
template <class T> void gather(const std::byte *from, std::ptrdiff_t step, T *to, std::int64_t count) {
    if (step == sizeof(T)) {
        std::memcpy(to, from, static_cast<std::size_t>(count) * sizeof(T));
        return;
    }
    for (std::int64_t i = 0; i < count; ++i) std::memcpy(to + i, from + i * step, sizeof(T));
}

template <class T> void scatter(const T *from, std::byte *to, std::ptrdiff_t step, std::int64_t count) {
    if (step == sizeof(T)) {
        std::memcpy(to, from, static_cast<std::size_t>(count) * sizeof(T));
        return;
    }
    for (std::int64_t i = 0; i < count; ++i) std::memcpy(to + i * step, from + i, sizeof(T));
}

} // namespace

void TensorPort::read(std::int64_t begin, std::int64_t end, bool round) const {
    std::uint16_t halves[chunk];
    for_each_run(begin, end, [&](const std::byte *outer, float *stored, std::int64_t count) {
        if (view_.type == DType::float16) {
            gather(outer, element_step_, halves, count);
            kernels_.floats_from_halves(halves, stored, count);
            return;
        }
        gather(outer, element_step_, stored, count);
        if (!round) return;
        kernels_.halves_from_floats(stored, halves, count);
        kernels_.floats_from_halves(halves, stored, count);
    });
}

void TensorPort::write(std::int64_t begin, std::int64_t end) const {
    std::uint16_t halves[chunk];
    for_each_run(begin, end, [&](std::byte *outer, const float *stored, std::int64_t count) {
        if (view_.type == DType::float16) {
            kernels_.halves_from_floats(stored, halves, count);
            scatter(halves, outer, element_step_, count);
        } else {
            scatter(stored, outer, element_step_, count);
        }
    });
}

} // namespace mpscnn::cpu
