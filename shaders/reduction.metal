// Reductions along one axis. Which of equal elements MPS calls the largest, and what it makes of NaN, is not
// documented: here it is the first one, and the first NaN.

#include <metal_stdlib>

#include "image_access.h"
#include "reduction_params.h"

using namespace metal;

/// Whether x takes the place of the best so far.
inline bool is_better(float x, float best, int kind) {
    if (best != best) return false;
    return x != x || (kind == reduction_max ? x > best : x < best);
}

inline bool is_extreme(int kind) { return kind == reduction_max || kind == reduction_min; }
/// What a sum or product begins with.
inline float neutral(int kind) { return kind == reduction_product ? 1.0f : 0.0f; }

/// Two sums, products or extremes as one.
inline float4 joined(float4 so_far, float4 x, int kind) {
    if (kind == reduction_product) return so_far * x;
    if (!is_extreme(kind)) return so_far + x;
    float4 result = so_far;
    for (uint lane = 0; lane < 4; ++lane)
        if (is_better(x[lane], so_far[lane], kind)) result[lane] = x[lane];
    return result;
}

/// With an element more.
inline float4 reduced(float4 so_far, float4 x, int kind) {
    return kind == reduction_norm ? fma(x, x, so_far) : joined(so_far, x, kind);
}

/// What a sum of so many elements, or the best of them, means.
inline float4 finished(float4 value, constant ReductionParams &params, uint count) {
    if (params.kind == reduction_mean) return value / float(count);
    if (params.kind == reduction_norm) return sqrt(value);
    return params.kind == reduction_sum ? params.factor * value : value;
}

/// Along rows or columns: `step` is where the next element lies.
template <typename Source>
inline float4 reduce_line(Source source, constant ReductionParams &params, uint2 first, uint2 step,
                          uint count, uint slice) {
    const bool sums = !is_extreme(params.kind);
    const float4 initial = float4(neutral(params.kind));
    float4 value = sums ? initial : fetch(source, first, slice);
    // Elements are added up in blocks: the rounding error then grows with the size and the number of blocks.
    for (uint i = sums ? 0 : 1; i < count;) {
        float4 block = sums ? initial : value;
        const uint end = min(i + 64, count);
        for (; i < end; ++i) block = reduced(block, fetch(source, first + i * step, slice), params.kind);
        value = sums ? joined(value, block, params.kind) : block;
    }
    return finished(value, params, count);
}

template <typename Source, typename Destination>
inline void reduce_rows(Source source, Destination destination, constant ReductionParams &params,
                        uint3 position) {
    if (outside(position, params.destination)) return;
    const float4 value =
        reduce_line(source, params, uint2(0u, position.y), uint2(1u, 0u), params.source.width, position.z);
    const uint slice = position.z % params.destination.slices;
    store(destination, without_unused_lanes(value, slice, params.destination), position.xy, position.z);
}

template <typename Source, typename Destination>
inline void reduce_columns(Source source, Destination destination, constant ReductionParams &params,
                           uint3 position) {
    if (outside(position, params.destination)) return;
    const float4 value =
        reduce_line(source, params, uint2(position.x, 0u), uint2(0u, 1u), params.source.height, position.z);
    const uint slice = position.z % params.destination.slices;
    store(destination, without_unused_lanes(value, slice, params.destination), position.xy, position.z);
}

template <typename Source, typename Destination>
inline void reduce_channels(Source source, Destination destination, constant ReductionParams &params,
                            uint3 position) {
    if (outside(position, params.destination)) return;
    const uint first = position.z * params.source.slices;
    const float initial =
        is_extreme(params.kind) ? fetch(source, position.xy, first)[0] : neutral(params.kind);
    float4 lanes = float4(initial);
    for (uint slice = 0; slice < params.source.slices; ++slice) {
        const float4 value = fetch(source, position.xy, first + slice);
        const float4 filled =
            select(float4(initial), value, channels_of(slice) < uint4(params.source.channels));
        lanes = reduced(lanes, filled, params.kind);
    }
    float4 value = lanes;
    for (uint lane = 1; lane < 4; ++lane) value = joined(value, float4(lanes[lane]), params.kind);
    const float4 result = finished(value, params, params.source.channels);
    store(destination, float4(result[0], 0.0f, 0.0f, 0.0f), position.xy, position.z);
}

template <typename Source, typename Destination>
inline void find_argument(Source source, Destination destination, constant ReductionParams &params,
                          uint3 position) {
    if (outside(position, params.destination)) return;
    uint argument = 0;
    float best = fetch_channel(source, position.xy, position.z, 0, params.source);
    for (uint channel = 1; channel < params.source.channels; ++channel) {
        const float x = fetch_channel(source, position.xy, position.z, channel, params.source);
        if (!is_better(x, best, params.kind)) continue;
        best = x;
        argument = channel;
    }
    store(destination, float4(float(argument), 0.0f, 0.0f, 0.0f), position.xy, position.z);
}

template <typename Source, typename Weights, typename Destination>
inline void reduce_weighted(Source source, Weights weights, Destination destination,
                            constant WeightedReductionParams &params, uint3 position) {
    if (outside(position, params.destination)) return;
    const uint first = position.z * params.source.slices;
    const uint2 weight_position = uint2(params.weights.width > 1 ? position.x : 0u, //
                                        params.weights.height > 1 ? position.y : 0u);
    const uint first_weight = params.weights.images > 1 ? position.z * params.weights.slices : 0;
    float sum = 0.0f, count = 0.0f;
    for (uint channel = 0; channel < params.source.channels; ++channel) {
        const float x = fetch(source, position.xy, first + channel / 4)[channel % 4];
        const float weight = fetch(weights, weight_position, first_weight + channel / 4)[channel % 4];
        sum += x * weight;
        if (weight != 0.0f) count += 1.0f;
    }
    const float result = params.mean != 0 ? (count > 0.0f ? sum / count : 0.0f) : sum;
    store(destination, float4(result, 0.0f, 0.0f, 0.0f), position.xy, position.z);
}

#define REDUCE_LINES(TYPE, TEXTURE)                                                                          \
    IMAGE_KERNEL(reduce_rows, reduce_rows, ReductionParams, TYPE, TEXTURE, TEXTURE)                          \
    IMAGE_KERNEL(reduce_columns, reduce_columns, ReductionParams, TYPE, TEXTURE, TEXTURE)
#define REDUCE_CHANNELS(TYPE, SOURCE, DESTINATION)                                                           \
    IMAGE_KERNEL(reduce_channels, reduce_channels, ReductionParams, TYPE, SOURCE, DESTINATION)               \
    IMAGE_KERNEL(argument, find_argument, ReductionParams, TYPE, SOURCE, DESTINATION)
#define REDUCE_WEIGHTED(TYPE, SOURCE, WEIGHTS, DESTINATION)                                                  \
    kernel void weighted_reduction_##TYPE##_##SOURCE##_##WEIGHTS##_##DESTINATION(                            \
        SOURCE<float, access::read> source [[texture(0)]],                                                   \
        WEIGHTS<float, access::read> weights [[texture(1)]],                                                 \
        DESTINATION<TYPE, access::write> destination [[texture(2)]],                                         \
        constant WeightedReductionParams &params [[buffer(0)]],                                              \
        uint3 position [[thread_position_in_grid]]) {                                                        \
        reduce_weighted(source, weights, destination, params, position);                                     \
    }

FOR_EACH_IMAGE_TYPE(REDUCE_LINES)
FOR_EACH_IMAGE_PAIR(REDUCE_CHANNELS)
FOR_EACH_IMAGE_TRIPLE(REDUCE_WEIGHTED)
