// Parts of images: any rows, columns and feature channels.

#include <metal_stdlib>

#include "image_access.h"
#include "slice_params.h"

using namespace metal;

template <typename Source, typename Destination>
inline void take_slice(Source source, Destination destination, constant SliceParams &params, uint3 position) {
    if (outside(position, params.destination)) return;
    const SliceOfImage place = slice_of_image(position, params.destination);
    const uint2 pixel = uint2(params.left + position.x * params.stride_x, //
                              params.top + position.y * params.stride_y);
    float4 result = float4(0.0f);
    for (uint lane = 0; lane < used_lanes(place.slice, params.destination); ++lane)
        result[lane] =
            fetch_channel(source, pixel, place.image, params.front + 4 * place.slice + lane, params.source);
    store(destination, result, position.xy, position.z);
}

#define TAKE_SLICE(TYPE, SOURCE, DESTINATION)                                                                \
    IMAGE_KERNEL(slice, take_slice, SliceParams, TYPE, SOURCE, DESTINATION)

FOR_EACH_IMAGE_PAIR(TAKE_SLICE)
