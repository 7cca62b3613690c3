// Copies elements along an axis of an image to the result, by the indices in another image.

#include <metal_stdlib>

#include "image_access.h"
#include "take_along_axis_params.h"

using namespace metal;

/// Return the position that an index means on an axis. Negative numbers count from the end. Numbers beyond
/// the axis give its ends, and NaN gives 0.
inline uint position_of(float index, uint extent) {
    const float whole = trunc(index), counted = whole < 0.0f ? whole + float(extent) : whole;
    if (!(counted > 0.0f)) return 0u;
    return counted < float(extent - 1u) ? uint(counted) : extent - 1u;
}

/// Return the coordinate at which an image is read for coordinate i of the result. An image with extent 1 is
/// broadcast.
inline uint repeated(uint i, uint extent) { return extent == 1u ? 0u : i; }

template <typename Source, typename Indices, typename Destination>
inline void take_along_axis(Source source, Indices indices, Destination destination,
                            constant TakeAlongAxisParams &params, uint3 position) {
    if (outside(position, params.destination)) return;
    const SliceOfImage place = slice_of_image(position, params.destination);
    const uint2 at =
        uint2(repeated(position.x, params.indices.width), repeated(position.y, params.indices.height));
    float4 result = float4(0.0f);
    for (uint lane = 0; lane < used_lanes(place.slice, params.destination); ++lane) {
        const uint c = 4u * place.slice + lane;
        const float index =
            fetch_channel(indices, at, place.image, repeated(c, params.indices.channels), params.indices);
        uint2 pixel =
            uint2(repeated(position.x, params.source.width), repeated(position.y, params.source.height));
        uint channel = repeated(c, params.source.channels);
        if (params.axis == 0)
            pixel.y = position_of(index, params.source.height);
        else if (params.axis == 1)
            pixel.x = position_of(index, params.source.width);
        else
            channel = position_of(index, params.source.channels);
        result[lane] = fetch_channel(source, pixel, place.image, channel, params.source);
    }
    store(destination, result, position.xy, position.z);
}

#define TAKE_ALONG_AXIS(TYPE, SOURCE, INDICES, DESTINATION)                                                  \
    kernel void take_along_axis_##TYPE##_##SOURCE##_##INDICES##_##DESTINATION(                               \
        SOURCE<float, access::read> source [[texture(0)]],                                                   \
        INDICES<float, access::read> indices [[texture(1)]],                                                 \
        DESTINATION<TYPE, access::write> destination [[texture(2)]],                                         \
        constant TakeAlongAxisParams &params [[buffer(0)]], uint3 position [[thread_position_in_grid]]) {    \
        take_along_axis(source, indices, destination, params, position);                                     \
    }

FOR_EACH_IMAGE_TRIPLE(TAKE_ALONG_AXIS)
