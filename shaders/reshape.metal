// Copies the elements in NHWC order to an image with other extents. MPSNNReshape does not document its order.

#include <metal_stdlib>

#include "image_access.h"
#include "reshape_params.h"

using namespace metal;

template <typename Source, typename Destination>
inline void reshape(Source source, Destination destination, constant ReshapeParams &params, uint3 position) {
    if (outside(position, params.destination)) return;
    const SliceOfImage place = slice_of_image(position, params.destination);
    const uint first = (position.y * params.destination.width + position.x) * params.destination.channels;
    float4 result = float4(0.0f);
    for (uint lane = 0; lane < used_lanes(place.slice, params.destination); ++lane) {
        const uint element = first + 4 * place.slice + lane, pixel = element / params.source.channels;
        const uint2 from = uint2(pixel % params.source.width, pixel / params.source.width);
        result[lane] =
            fetch_channel(source, from, place.image, element % params.source.channels, params.source);
    }
    store(destination, result, position.xy, position.z);
}

#define RESHAPE(TYPE, SOURCE, DESTINATION)                                                                   \
    IMAGE_KERNEL(reshape, reshape, ReshapeParams, TYPE, SOURCE, DESTINATION)

FOR_EACH_IMAGE_PAIR(RESHAPE)
