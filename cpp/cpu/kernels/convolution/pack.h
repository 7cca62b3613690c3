#pragma once

// The layout of convolution weights for gemm_tile.h. Each group has panels of gemm_vectors * width output
// channels. A panel is [k][channels] with k = [kernel row][kernel column][input]. The last panel has the
// remaining vectors: fewer, or gemm_last_vectors if a single vector would give too few independent sums.
// Channels that pad a vector are zero.
//
// gemm_dot_tile.h multiplies if there are few outputs and many inputs. Then each group is [k /
// width][output][lanes of k].

#include <algorithm>

#include "cpu/isa/common_sums.h"
#include "cpu/isa/kernel_math.h"
#include "cpu/isa/kernels.h"
#include "cpu/isa/lane_shuffles.h"
#include "cpu/isa/simd.h"

namespace mpscnn::cpu {
namespace {

template <class V> inline std::int64_t round_up_to_width(std::int64_t channels) {
    return round_up(channels, V::width);
}

/// Return the number of panels of a group with this many outputs.
template <class V> inline std::int64_t panel_count(std::int64_t outputs) {
    const std::int64_t vectors = divide_up(outputs, V::width), full = vectors / V::gemm_vectors;
    const std::int64_t rest = vectors % V::gemm_vectors;
    const bool joins_last = full > 0 && V::gemm_vectors + rest <= V::gemm_last_vectors;
    return full + (rest > 0 && !joins_last);
}

/// Return the outputs of panel `index` of a group.
template <class V> inline Range panel_outputs(std::int64_t outputs, std::int64_t index) {
    const std::int64_t begin = index * V::gemm_vectors * V::width;
    const bool last = index + 1 == panel_count<V>(outputs);
    return {begin, last ? outputs : begin + V::gemm_vectors * V::width};
}

template <class V> void dot_pack(const ConvolutionShape &shape, const float *weights, float *packed) {
    const std::int64_t depth = shape.kernel_height * shape.kernel_width * shape.inputs_per_group;
    const std::int64_t outputs = shape.outputs / shape.groups;
    for (std::int64_t group = 0; group < shape.groups; ++group, weights += outputs * depth)
        for (std::int64_t k = 0; k < depth; k += common_sums)
            for (std::int64_t output = 0; output < outputs; ++output)
                for (int v = 0; v < common_sums; v += V::width, packed += V::width)
                    V::store(packed, V::load(weights + output * depth + k + v));
}

/// Return the number of floats of a group's packed weights.
template <class V> std::int64_t gemm_group_size(const ConvolutionShape &shape) {
    const std::int64_t depth = shape.weights_per_output(), outputs = shape.outputs / shape.groups;
    return depth * (shape.algorithm == Algorithm::dot ? outputs : round_up_to_width<V>(outputs));
}

template <class V> std::size_t gemm_packed_size(const ConvolutionShape &shape) {
    return static_cast<std::size_t>(shape.groups * gemm_group_size<V>(shape));
}

/// Pack one vector of outputs, of which only the first `count` exist. The weights of adjacent outputs are
/// `stride` apart. packed[k * pitch] is the vector for k.
template <class V>
void pack_vector(const float *weights, std::ptrdiff_t stride, std::int64_t depth, std::int64_t count,
                 float *packed, std::int64_t pitch) {
    std::int64_t k = 0;
    for (; count == V::width && k + V::width <= depth; k += V::width) {
        typename V::reg x[V::width];
#pragma GCC unroll 16
        for (int i = 0; i < V::width; ++i) x[i] = V::load(weights + i * stride + k);
        transpose_lanes<V>(x);
#pragma GCC unroll 16
        for (int i = 0; i < V::width; ++i) V::store(packed + (k + i) * pitch, x[i]);
    }
    for (; k < depth; ++k)
        for (std::int64_t i = 0; i < V::width; ++i)
            packed[k * pitch + i] = i < count ? weights[i * stride + k] : 0.0f;
}

/// Return the offset of a panel of a group in the packed weights.
template <class V> inline std::int64_t panel_offset(const ConvolutionShape &shape, std::int64_t panel) {
    return shape.weights_per_output() * panel * V::gemm_vectors * V::width;
}

/// Pack one panel of a group. The weights of adjacent outputs are `stride` apart.
template <class V>
void gemm_pack_panel(const ConvolutionShape &shape, const float *weights, std::ptrdiff_t stride,
                     std::int64_t index, float *packed) {
    const std::int64_t depth = shape.weights_per_output();
    const Range panel = panel_outputs<V>(shape.outputs / shape.groups, index);
    const std::int64_t pitch = round_up_to_width<V>(panel.size());
    for (std::int64_t first = 0; first < panel.size(); first += V::width)
        pack_vector<V>(weights + (panel.begin + first) * stride, stride, depth,
                       min(V::width, panel.size() - first), packed + first, pitch);
}

template <class V> void gemm_pack(const ConvolutionShape &shape, const float *weights, float *packed) {
    if (shape.algorithm == Algorithm::dot) return dot_pack<V>(shape, weights, packed);
    const std::int64_t depth = shape.weights_per_output(), outputs = shape.outputs / shape.groups;
    for (std::int64_t group = 0; group < shape.groups; ++group, weights += outputs * depth)
        for (std::int64_t p = 0; p < panel_count<V>(outputs); ++p)
            gemm_pack_panel<V>(shape, weights, depth, p,
                               packed + group * gemm_group_size<V>(shape) + panel_offset<V>(shape, p));
}

} // namespace
} // namespace mpscnn::cpu
