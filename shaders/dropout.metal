// Dropout with the random numbers of core/philox.h: Philox4x32-10 of Salmon, Moraes, Dror and Shaw, "Parallel
// Random Numbers: As Easy as 1, 2, 3" (2011). Integers alone, so that all engines drop the same elements.

#include <metal_stdlib>

#include "dropout_params.h"
#include "image_access.h"

using namespace metal;

inline uint4 philox(uint2 counter, uint2 key) {
    uint4 x = uint4(counter.x, counter.y, 0u, 0u);
    for (int round = 0; round < 10; ++round) {
        const uint first = 0xD2511F53u, second = 0xCD9E8D57u;
        x = uint4(mulhi(second, x.z) ^ x.y ^ key.x, second * x.z, mulhi(first, x.x) ^ x.w ^ key.y,
                  first * x.x);
        key += uint2(0x9E3779B9u, 0xBB67AE85u); // the golden ratio and the square root of 3
    }
    return x;
}

/// The random word of the mask's element `offset` behind the first image's first one.
inline uint dropout_word(uint offset, constant DropoutParams &params) {
    const uint low = params.first_element_low + offset;
    const uint high = params.first_element_high + (low < offset ? 1u : 0u);
    const uint4 words = philox(uint2(low >> 2 | high << 30, high >> 2), //
                               uint2(params.seed_low, params.seed_high));
    return words[low & 3u];
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
