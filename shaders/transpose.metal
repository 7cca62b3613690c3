// Transposes axes of an image. MPSNDArray's transposes are not used, because they work on another kind of
// data.

#include <metal_stdlib>

#include "image_access.h"
#include "transpose_params.h"

using namespace metal;

template <typename Source, typename Destination>
inline void transpose_axes(Source source, Destination destination, constant TransposeParams &params,
                           uint3 position) {
    if (outside(position, params.destination)) return;
    const SliceOfImage place = slice_of_image(position, params.destination);
    const uint first = (position.y * params.destination.width + position.x) * params.destination.channels;
    float4 result = float4(0.0f);
    for (uint lane = 0; lane < used_lanes(place.slice, params.destination); ++lane) {
        uint rest = first + 4 * place.slice + lane, element = 0;
        for (int axis = 4; axis >= 0; --axis) {
            element += rest % params.extents[axis] * params.steps[axis];
            rest /= params.extents[axis];
        }
        const uint pixel = element / params.source.channels;
        const uint2 from = uint2(pixel % params.source.width, pixel / params.source.width);
        result[lane] =
            fetch_channel(source, from, place.image, element % params.source.channels, params.source);
    }
    store(destination, result, position.xy, position.z);
}

template <typename Source, typename Destination>
inline void shuffle_channels(Source source, Destination destination, constant ChannelShuffleParams &params,
                             uint3 position) {
    if (outside(position, params.destination)) return;
    const SliceOfImage place = slice_of_image(position, params.destination);
    const uint size = params.source.channels / params.groups;
    float4 result = float4(0.0f);
    for (uint lane = 0; lane < used_lanes(place.slice, params.destination); ++lane) {
        const uint channel = 4 * place.slice + lane;
        const uint from = channel % params.groups * size + channel / params.groups;
        result[lane] = fetch_channel(source, position.xy, place.image, from, params.source);
    }
    store(destination, result, position.xy, position.z);
}

#define TRANSPOSE(TYPE, SOURCE, DESTINATION)                                                                 \
    IMAGE_KERNEL(transpose, transpose_axes, TransposeParams, TYPE, SOURCE, DESTINATION)                      \
    IMAGE_KERNEL(channel_shuffle, shuffle_channels, ChannelShuffleParams, TYPE, SOURCE, DESTINATION)

FOR_EACH_IMAGE_PAIR(TRANSPOSE)
