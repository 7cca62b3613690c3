#pragma once

// The order of convolution weights that gemm_tile.h reads: for each group, panels of gemm_vectors * width
// output channels, each [k][channels] with k = [kh][kw][in]. The last panel takes what is left: fewer
// vectors, or gemm_last_vectors where one vector alone would keep too few sums under way. Channels that only
// fill up a vector are zero.

#include "cpu/kernel_math.h"
#include "cpu/kernels.h"
#include "cpu/simd.h"

namespace mpscnn::cpu {
namespace {

template <class V> inline std::int64_t round_up_to_width(std::int64_t channels) {
    return divide_up(channels, V::width) * V::width;
}

/// Panels of a group with so many outputs.
template <class V> inline std::int64_t panel_count(std::int64_t outputs) {
    const std::int64_t vectors = divide_up(outputs, V::width), full = vectors / V::gemm_vectors;
    const std::int64_t rest = vectors % V::gemm_vectors;
    const bool joins_last = full > 0 && V::gemm_vectors + rest <= V::gemm_last_vectors;
    return full + (rest > 0 && !joins_last);
}

/// First output of panel `index`, and one behind its last.
template <class V> inline Range panel_outputs(std::int64_t outputs, std::int64_t index) {
    const std::int64_t begin = index * V::gemm_vectors * V::width;
    const bool last = index + 1 == panel_count<V>(outputs);
    return {begin, last ? outputs : begin + V::gemm_vectors * V::width};
}

template <class V> std::size_t gemm_packed_size(const ConvolutionShape &shape) {
    const std::int64_t depth = shape.kernel_height * shape.kernel_width * shape.inputs_per_group;
    return static_cast<std::size_t>(shape.groups * depth *
                                    round_up_to_width<V>(shape.outputs / shape.groups));
}

template <class V> void gemm_pack(const ConvolutionShape &shape, const float *weights, float *packed) {
    const std::int64_t depth = shape.kernel_height * shape.kernel_width * shape.inputs_per_group;
    const std::int64_t outputs = shape.outputs / shape.groups;
    for (std::int64_t group = 0; group < shape.groups; ++group, weights += outputs * depth)
        for (std::int64_t p = 0; p < panel_count<V>(outputs); ++p) {
            const Range panel = panel_outputs<V>(outputs, p);
            const std::int64_t columns = round_up_to_width<V>(panel.size());
            for (std::int64_t k = 0; k < depth; ++k)
                for (std::int64_t column = 0; column < columns; ++column)
                    *packed++ = column < panel.size() ? weights[(panel.begin + column) * depth + k] : 0.0f;
        }
}

} // namespace
} // namespace mpscnn::cpu
