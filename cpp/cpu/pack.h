#pragma once

// The order of convolution weights that gemm_tile.h reads: for each group, panels of gemm_vectors * width
// output channels (the last one narrower, a multiple of the width), each [k][channels] with k = [kh][kw][in].
// Channels that only fill up a vector are zero.

#include "cpu/kernels.h"
#include "cpu/simd.h"

namespace mpscnn::cpu {
namespace {

template <class V> inline std::int64_t round_up_to_width(std::int64_t channels) {
    return (channels + V::width - 1) / V::width * V::width;
}

template <class V> std::size_t gemm_packed_size(const ConvolutionShape &shape) {
    const std::int64_t depth = shape.kernel_height * shape.kernel_width * shape.inputs_per_group;
    return static_cast<std::size_t>(shape.groups * depth *
                                    round_up_to_width<V>(shape.outputs / shape.groups));
}

template <class V> void gemm_pack(const ConvolutionShape &shape, const float *weights, float *packed) {
    const std::int64_t depth = shape.kernel_height * shape.kernel_width * shape.inputs_per_group;
    const std::int64_t outputs = shape.outputs / shape.groups;
    constexpr std::int64_t panel = V::gemm_vectors * V::width;
    for (std::int64_t group = 0; group < shape.groups; ++group, weights += outputs * depth)
        for (std::int64_t first = 0; first < outputs; first += panel) {
            const std::int64_t count = outputs - first < panel ? outputs - first : panel;
            const std::int64_t columns = round_up_to_width<V>(count);
            for (std::int64_t k = 0; k < depth; ++k)
                for (std::int64_t column = 0; column < columns; ++column)
                    *packed++ = column < count ? weights[(first + column) * depth + k] : 0.0f;
        }
}

} // namespace
} // namespace mpscnn::cpu
