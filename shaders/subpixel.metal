// Rearranges feature channels to blocks of pixels.

#include <metal_stdlib>

#include "activation.h"
#include "image_access.h"
#include "subpixel_params.h"

using namespace metal;

template <typename Source, typename Destination>
inline void depth_to_space(Source source, Destination destination, constant SubpixelParams &params,
                           const device float4 *slopes, uint3 position) {
    if (outside(position, params.destination)) return;
    const SliceOfImage place = slice_of_image(position, params.destination);
    const uint scale = params.scale, part = position.y % scale * scale + position.x % scale;
    float4 values = float4(0.0f);
    for (uint lane = 0; lane < used_lanes(place.slice, params.destination); ++lane) {
        const uint to = 4 * place.slice + lane;
        const uint from =
            params.channel_major != 0 ? to * scale * scale + part : part * params.destination.channels + to;
        values[lane] = fetch_channel(source, position.xy / scale, place.image, from, params.source);
    }
    const float4 result = activate(values, params.activation, slopes_of(slopes, 0, place.slice, 0));
    store(destination, without_unused_lanes(result, place.slice, params.destination), position.xy,
          position.z);
}

#define DEPTH_TO_SPACE(TYPE, SOURCE, DESTINATION)                                                            \
    IMAGE_KERNEL_WITH_TERMS(depth_to_space, depth_to_space, SubpixelParams, TYPE, SOURCE, DESTINATION)

FOR_EACH_IMAGE_PAIR(DEPTH_TO_SPACE)
