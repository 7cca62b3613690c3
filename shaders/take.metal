// Copies rows, columns and feature channels of an image from any positions: slices, gathers and tiles.

#include <metal_stdlib>

#include "image_access.h"
#include "take_params.h"

using namespace metal;

inline uint taken(constant TakenAxis &axis, const device int *indices, uint i) {
    if (axis.has_indices != 0) return uint(indices[i]);
    return uint(axis.first + int(axis.period > 0 ? i % axis.period : i) * axis.step);
}

template <typename Source, typename Destination>
inline void take(Source source, Destination destination, constant TakeParams &params,
                 const device int *indices, uint3 position) {
    if (outside(position, params.destination)) return;
    const SliceOfImage place = slice_of_image(position, params.destination);
    const uint2 pixel =
        uint2(taken(params.columns, indices, position.x), taken(params.rows, indices, position.y));
    float4 result = float4(0.0f);
    for (uint lane = 0; lane < used_lanes(place.slice, params.destination); ++lane)
        result[lane] = fetch_channel(source, pixel, place.image,
                                     taken(params.channels, indices, 4 * place.slice + lane), params.source);
    store(destination, result, position.xy, position.z);
}

#define TAKE(TYPE, SOURCE, DESTINATION)                                                                      \
    kernel void take_##TYPE##_##SOURCE##_##DESTINATION(                                                      \
        SOURCE<float, access::read> source [[texture(0)]],                                                   \
        DESTINATION<TYPE, access::write> destination [[texture(1)]],                                         \
        constant TakeParams &params [[buffer(0)]], const device int *indices [[buffer(1)]],                  \
        uint3 position [[thread_position_in_grid]]) {                                                        \
        take(source, destination, params, indices, position);                                                \
    }

FOR_EACH_IMAGE_PAIR(TAKE)
