#include "engine/run/tensor_copy.h"

#include <algorithm>
#include <cstring>

namespace mpscnn::engine {

namespace {

/// Return the first axis from which on elements are contiguous in row-major order.
int first_dense_axis(const TensorView &view) {
    auto stride = static_cast<std::ptrdiff_t>(size_of(view.type));
    int axis = view.shape.rank();
    while (axis > 0) {
        const auto before = static_cast<std::size_t>(axis - 1);
        if (view.shape[axis - 1] > 1 && view.strides[before] != stride) break;
        stride *= view.shape[--axis];
    }
    return axis;
}

struct Copy {
    const TensorView &from, &to;
    int block_axis;
    std::size_t block_bytes;

    void run(int axis, const std::byte *source, std::byte *destination) const {
        if (axis == block_axis) {
            std::memcpy(destination, source, block_bytes);
            return;
        }
        const auto a = static_cast<std::size_t>(axis);
        for (std::int64_t i = 0; i < from.shape[axis]; ++i)
            run(axis + 1, source + i * from.strides[a], destination + i * to.strides[a]);
    }
};

} // namespace

void copy_elements(const TensorView &from, const TensorView &to) {
    const int axis = std::max(first_dense_axis(from), first_dense_axis(to));
    std::size_t bytes = size_of(from.type);
    for (int i = axis; i < from.shape.rank(); ++i) bytes *= static_cast<std::size_t>(from.shape[i]);
    Copy{from, to, axis, bytes}.run(0, static_cast<const std::byte *>(from.data),
                                    static_cast<std::byte *>(to.data));
}

} // namespace mpscnn::engine
