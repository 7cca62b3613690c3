// Dropout with the random numbers of philox.h.

#include <metal_stdlib>

#include "dropout_params.h"
#include "image_access.h"
#include "philox.h"

using namespace metal;

/// Return the random word of the mask's element `offset`, counted from the first image's first element.
inline uint dropout_word(uint offset, constant DropoutParams &params) {
    const uint low = params.first_element_low + offset;
    const uint high = params.first_element_high + (low < offset ? 1u : 0u);
    return random_word(low, high, uint2(params.seed_low, params.seed_high));
}

template <typename Source, typename Destination>
inline void drop_out(Source source, Destination destination, constant DropoutParams &params, uint3 position) {
    if (outside(position, params.image)) return;
    const SliceOfImage place = slice_of_image(position, params.image);
    const uint y = min(position.y, params.mask_height - 1), x = min(position.x, params.mask_width - 1);
    const uint pixel = (place.image * params.mask_height + y) * params.mask_width + x;
    float4 factors = float4(0.0f);
    for (uint lane = 0; lane < used_lanes(place.slice, params.image); ++lane) {
        const uint channel = min(4 * place.slice + lane, params.mask_channels - 1);
        const uint word = dropout_word(pixel * params.mask_channels + channel, params);
        if (word <= params.last_kept) factors[lane] = params.factor;
    }
    const float4 result = fetch(source, position.xy, position.z) * factors;
    store(destination, without_unused_lanes(result, place.slice, params.image), position.xy, position.z);
}

#define DROP_OUT(TYPE, TEXTURE) IMAGE_KERNEL(dropout, drop_out, DropoutParams, TYPE, TEXTURE, TEXTURE)

FOR_EACH_IMAGE_TYPE(DROP_OUT)
