// Reductions along one axis. MPS does not document which of several equal elements it returns as the largest,
// nor its treatment of NaN. These kernels return the first one, and the first NaN if there is one.

#include <metal_stdlib>

#include "image_access.h"
#include "magnitude.h"
#include "reduction_params.h"

using namespace metal;

/// True if x replaces the best element so far.
inline bool is_better(float x, float best, ReductionKind kind) {
    if (best != best) return false;
    return x != x || (kind == ReductionKind::min ? x < best : x > best);
}

inline ReductionKind kind_of(constant ReductionParams &params) { return ReductionKind(params.kind); }
inline bool is_extreme(ReductionKind kind) {
    return kind == ReductionKind::max || kind == ReductionKind::min;
}
inline bool is_spread(ReductionKind kind) {
    return kind == ReductionKind::variance || kind == ReductionKind::deviation;
}
/// True if the kind sums squares. If these overflow or underflow, the reduction is repeated with scaled
/// elements.
inline bool has_scaled_form(ReductionKind kind) { return kind == ReductionKind::l2_norm || is_spread(kind); }
/// Return the result of a reduction from the result for elements that were multiplied by `scale`.
inline float4 unscaled(float4 result, float4 scale, ReductionKind kind) {
    return kind == ReductionKind::variance ? result / scale / scale : result / scale;
}
/// Return the start value of a sum or product.
inline float neutral(ReductionKind kind) { return kind == ReductionKind::product ? 1.0f : 0.0f; }

/// Combine two partial results: sums, products or extremes.
inline float4 joined(float4 so_far, float4 x, ReductionKind kind) {
    if (kind == ReductionKind::product) return so_far * x;
    if (!is_extreme(kind)) return so_far + x;
    float4 result = so_far;
    for (uint lane = 0; lane < 4; ++lane)
        if (is_better(x[lane], so_far[lane], kind)) result[lane] = x[lane];
    return result;
}

/// Add an element to a partial result. Some kinds first subtract a pivot, which an earlier pass has found.
inline float4 reduced(float4 so_far, float4 x, float4 pivot, ReductionKind kind) {
    if (kind == ReductionKind::log_sum_exp) return so_far + exp(x - pivot);
    if (is_spread(kind)) x -= pivot;
    const bool squares =
        is_spread(kind) || kind == ReductionKind::l2_norm || kind == ReductionKind::sum_of_squares;
    return squares ? fma(x, x, so_far) : joined(so_far, x, kind);
}

/// Return the result of a reduction, from the partial result of all elements. A variance also uses the sum of
/// the deviations from the pivot, which is the rounded mean.
inline float4 finished(float4 value, float4 deviations, float4 pivot, constant ReductionParams &params,
                       uint count) {
    const ReductionKind kind = kind_of(params);
    const float size = float(count);
    if (is_spread(kind)) {
        const float4 rest = deviations / size;
        const float4 difference = value / size - rest * rest;
        const float4 variance = select(difference, float4(0.0f), difference < float4(0.0f)) * params.factor;
        return kind == ReductionKind::deviation ? sqrt(variance) : variance;
    }
    if (kind == ReductionKind::log_sum_exp)
        return select(pivot + log(value), pivot, fabs(pivot) == float4(INFINITY));
    if (kind == ReductionKind::mean) return value / size;
    if (kind == ReductionKind::l2_norm) return sqrt(value);
    return kind == ReductionKind::sum ? params.factor * value : value;
}

/// True if the squares for a norm or variance are in the range of floats. Otherwise the elements are scaled
/// by powers of two. A variance has no lower limit, because squares that underflow do not change the result
/// noticeably.
inline bool are_in_range(float4 result, uint lanes, ReductionKind kind) {
    const float lowest = kind == ReductionKind::variance ? 0.0f : 1e-15f;
    for (uint lane = 0; lane < lanes; ++lane)
        if (!(result[lane] >= lowest && result[lane] < INFINITY)) return false;
    return true;
}

/// Reduce a row or column in one pass; `step` leads to the next element. Each element is first multiplied by
/// `scale`. Elements are summed in blocks, so that the rounding error grows with the size and the number of
/// blocks, not with their product.
template <typename Source>
inline float4 reduce_line(Source source, uint2 first, uint2 step, uint count, uint slice, ReductionKind kind,
                          float4 pivot, float4 scale) {
    const bool sums = !is_extreme(kind);
    const float4 initial = float4(neutral(kind));
    float4 value = sums ? initial : fetch(source, first, slice) * scale;
    for (uint i = sums ? 0 : 1; i < count;) {
        float4 block = sums ? initial : value;
        const uint end = min(i + 64, count);
        for (; i < end; ++i)
            block = reduced(block, fetch(source, first + i * step, slice) * scale, pivot, kind);
        value = sums ? joined(value, block, kind) : block;
    }
    return value;
}

/// Reduce a row or column, with all passes that the kind needs.
template <typename Source>
inline float4 finish_line(Source source, uint2 first, uint2 step, uint count, uint slice,
                          constant ReductionParams &params, float4 scale) {
    const ReductionKind kind = kind_of(params);
    float4 pivot = float4(0.0f), deviations = float4(0.0f);
    if (kind == ReductionKind::log_sum_exp)
        pivot = reduce_line(source, first, step, count, slice, ReductionKind::max, pivot, scale);
    if (is_spread(kind)) {
        const float4 sum = reduce_line(source, first, step, count, slice, ReductionKind::sum, pivot, scale);
        pivot = sum / float(count);
        for (uint i = 0; i < count; ++i) deviations += fetch(source, first + i * step, slice) * scale - pivot;
    }
    const float4 value = reduce_line(source, first, step, count, slice, kind, pivot, scale);
    return finished(value, deviations, pivot, params, count);
}

template <typename Source>
inline float4 reduce_whole_line(Source source, uint2 first, uint2 step, uint count, uint slice,
                                constant ReductionParams &params) {
    const float4 value = finish_line(source, first, step, count, slice, params, float4(1.0f));
    const uint lanes = min(params.source.channels - slice % params.source.slices * 4u, 4u);
    const ReductionKind kind = kind_of(params);
    if (!has_scaled_form(kind) || are_in_range(value, lanes, kind)) return value;
    float4 largest = float4(0.0f);
    for (uint i = 0; i < count; ++i) largest = max(largest, fabs(fetch(source, first + i * step, slice)));
    const float4 scale = factor_for(largest);
    return unscaled(finish_line(source, first, step, count, slice, params, scale), scale, kind);
}

template <typename Source, typename Destination>
inline void reduce_rows(Source source, Destination destination, constant ReductionParams &params,
                        uint3 position) {
    if (outside(position, params.destination)) return;
    const float4 value = reduce_whole_line(source, uint2(0u, position.y), uint2(1u, 0u), params.source.width,
                                           position.z, params);
    const uint slice = position.z % params.destination.slices;
    store(destination, without_unused_lanes(value, slice, params.destination), position.xy, position.z);
}

template <typename Source, typename Destination>
inline void reduce_columns(Source source, Destination destination, constant ReductionParams &params,
                           uint3 position) {
    if (outside(position, params.destination)) return;
    const float4 value = reduce_whole_line(source, uint2(position.x, 0u), uint2(0u, 1u), params.source.height,
                                           position.z, params);
    const uint slice = position.z % params.destination.slices;
    store(destination, without_unused_lanes(value, slice, params.destination), position.xy, position.z);
}

/// Reduce the channels of one pixel, multiplied by `scale`, to one partial result.
template <typename Source>
inline float reduce_pixel(Source source, uint2 at, uint first, constant ReductionParams &params,
                          ReductionKind kind, float pivot, float scale) {
    const float initial = is_extreme(kind) ? fetch(source, at, first)[0] * scale : neutral(kind);
    float4 lanes = float4(initial);
    for (uint slice = 0; slice < params.source.slices; ++slice) {
        const float4 value = fetch(source, at, first + slice) * scale;
        const float4 with_value = reduced(lanes, value, float4(pivot), kind);
        lanes = select(lanes, with_value, channels_of(slice) < uint4(params.source.channels));
    }
    float4 value = lanes;
    for (uint lane = 1; lane < 4; ++lane) value = joined(value, float4(lanes[lane]), kind);
    return value[0];
}

template <typename Source>
inline float finish_pixel(Source source, uint2 at, uint first, constant ReductionParams &params,
                          float scale) {
    const ReductionKind kind = kind_of(params);
    const uint channels = params.source.channels;
    float pivot = 0.0f, deviations = 0.0f;
    if (kind == ReductionKind::log_sum_exp)
        pivot = reduce_pixel(source, at, first, params, ReductionKind::max, pivot, scale);
    if (is_spread(kind)) {
        pivot = reduce_pixel(source, at, first, params, ReductionKind::sum, pivot, scale) / float(channels);
        for (uint c = 0; c < channels; ++c)
            deviations += fetch(source, at, first + c / 4)[c % 4] * scale - pivot;
    }
    const float value = reduce_pixel(source, at, first, params, kind, pivot, scale);
    return finished(float4(value), float4(deviations), float4(pivot), params, channels)[0];
}

template <typename Source, typename Destination>
inline void reduce_channels(Source source, Destination destination, constant ReductionParams &params,
                            uint3 position) {
    if (outside(position, params.destination)) return;
    const uint first = position.z * params.source.slices;
    float result = finish_pixel(source, position.xy, first, params, 1.0f);
    const ReductionKind kind = kind_of(params);
    if (has_scaled_form(kind) && !are_in_range(float4(result), 1u, kind)) {
        float largest = 0.0f;
        for (uint c = 0; c < params.source.channels; ++c)
            largest = max(largest, fabs(fetch(source, position.xy, first + c / 4)[c % 4]));
        const float scale = factor_for(float4(largest))[0];
        const float scaled = finish_pixel(source, position.xy, first, params, scale);
        result = unscaled(float4(scaled), float4(scale), kind)[0];
    }
    store(destination, float4(result, 0.0f, 0.0f, 0.0f), position.xy, position.z);
}

template <typename Source, typename Destination>
inline void find_argument(Source source, Destination destination, constant ReductionParams &params,
                          uint3 position) {
    if (outside(position, params.destination)) return;
    uint argument = 0;
    float best = fetch_channel(source, position.xy, position.z, 0, params.source);
    for (uint channel = 1; channel < params.source.channels; ++channel) {
        const float x = fetch_channel(source, position.xy, position.z, channel, params.source);
        if (!is_better(x, best, kind_of(params))) continue;
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
