#include "metal/device/staging.h"

#include <array>
#include <cstring>

#include "core/half.h"

namespace mpscnn::metal {

using engine::TensorView;

namespace {

/// Call copy(address in the view, address in dense memory, bytes) for the longest pieces that are dense in
/// both.
template <class Copy> void for_each_piece(const TensorView &view, std::byte *dense, Copy copy) {
    const std::size_t element = size_of(view.type);
    int axis = view.shape.rank(); // the first of the trailing axes that are dense
    std::size_t piece = element;
    while (axis > 0) {
        const auto stride = static_cast<std::size_t>(view.strides[static_cast<std::size_t>(axis) - 1]);
        if (view.shape[axis - 1] != 1 && stride != piece) break;
        piece *= static_cast<std::size_t>(view.shape[--axis]);
    }
    std::array<std::int64_t, Shape::max_rank> index{};
    for (;;) {
        auto *place = static_cast<std::byte *>(view.data);
        for (int i = 0; i < axis; ++i)
            place += index[static_cast<std::size_t>(i)] * view.strides[static_cast<std::size_t>(i)];
        copy(place, dense, piece);
        dense += piece;
        int i = axis - 1;
        while (i >= 0 && ++index[static_cast<std::size_t>(i)] == view.shape[i])
            index[static_cast<std::size_t>(i--)] = 0;
        if (i < 0) return;
    }
}

} // namespace

void Staging::reserve(const Device &device, std::size_t bytes) {
    if (bytes <= bytes_) return;
    buffer_.reset(); // release first, so that memory for both is not needed at the same time
    bytes_ = 0;
    buffer_ = device.make_buffer(bytes);
    bytes_ = bytes;
}

void Staging::copy_from(const TensorView &view) {
    for_each_piece(view, contents(), [](const std::byte *place, std::byte *dense, std::size_t bytes) {
        std::memcpy(dense, place, bytes);
    });
}

void Staging::copy_to(const TensorView &view) const {
    for_each_piece(view, contents(), [](std::byte *place, const std::byte *dense, std::size_t bytes) {
        std::memcpy(place, dense, bytes);
    });
}

namespace {

/// Call convert(halves in the view, floats, count) for the longest pieces that are dense in both.
template <class Convert> void for_each_half(const TensorView &view, std::byte *floats, Convert convert) {
    auto *next = reinterpret_cast<float *>(floats);
    for_each_piece(view, floats, [&](std::byte *place, std::byte *, std::size_t bytes) {
        const std::size_t count = bytes / sizeof(std::uint16_t);
        convert(reinterpret_cast<std::uint16_t *>(place), next, count);
        next += count;
    });
}

} // namespace

void Staging::floats_from(const TensorView &view) {
    if (view.type != DType::float16) return copy_from(view);
    for_each_half(view, contents(), [](const std::uint16_t *halves, float *floats, std::size_t count) {
        floats_from_halves({halves, count}, {floats, count});
    });
}

void Staging::floats_to(const TensorView &view) const {
    if (view.type != DType::float16) return copy_to(view);
    for_each_half(view, contents(), [](std::uint16_t *halves, const float *floats, std::size_t count) {
        halves_from_floats({floats, count}, {halves, count});
    });
}

} // namespace mpscnn::metal
