// Dropout with the random numbers of philox.h.

#include <metal_stdlib>

#include "dropout_params.h"
#include "image_access.h"
#include "philox.h"

using namespace metal;

/// Return the random words of a mask's four elements from `offset` on, counted from the first image's first
/// element. If all channels share an element, all four words are equal.
inline uint4 dropout_words(uint offset, constant DropoutParams &params) {
    const uint low = params.first_element_low + offset;
    const uint high = params.first_element_high + (low < offset ? 1u : 0u);
    const uint2 key = uint2(params.seed_low, params.seed_high);
    return params.mask_channels == 1u ? uint4(random_word(low, high, key)) : random_words(low, high, key);
}

template <typename Source, typename Destination>
inline void drop_out(Source source, Destination destination, constant DropoutParams &params, uint3 position) {
    if (outside(position, params.image)) return;
    const SliceOfImage place = slice_of_image(position, params.image);
    const uint y = min(position.y, params.mask_height - 1), x = min(position.x, params.mask_width - 1);
    const uint pixel = (place.image * params.mask_height + y) * params.mask_width + x;
    const uint channel = min(4 * place.slice, params.mask_channels - 1);
    const uint4 words = dropout_words(pixel * params.mask_channels + channel, params);
    const float4 factors = select(float4(0.0f), float4(params.factor), words <= uint4(params.last_kept));
    const float4 result = fetch(source, position.xy, position.z) * factors;
    store(destination, without_unused_lanes(result, place.slice, params.image), position.xy, position.z);
}

#define DROP_OUT(TYPE, TEXTURE) IMAGE_KERNEL(dropout, drop_out, DropoutParams, TYPE, TEXTURE, TEXTURE)

FOR_EACH_IMAGE_TYPE(DROP_OUT)
