// Dropout with a different mask in each step of training.

#include <metal_stdlib>

#include "array_access.h"
#include "array_dropout_params.h"
#include "philox.h"

using namespace metal;

/// Return the index in the mask of an element of the images.
inline uint mask_element(uint element, constant ArrayDropoutParams &params) {
    const ArrayPlace at = array_place(element, params.image);
    const uint y = min(at.y, params.mask_height - 1u), x = min(at.x, params.mask_width - 1u),
               channel = min(at.channel, params.mask_channels - 1u);
    const uint pixel = (at.image * params.mask_height + y) * params.mask_width + x;
    return pixel * params.mask_channels + channel;
}

/// Apply a dropout with the mask of this training step. A thread computes four adjacent elements. If the mask
/// has the extents of the images, their random words are computed together.
kernel void array_step_dropout(constant ArrayDropoutParams &params [[buffer(0)]],
                               const device float *source [[buffer(1)]],
                               const device float *step [[buffer(2)]], device float *result [[buffer(3)]],
                               uint i [[thread_position_in_grid]]) {
    if (i >= params.run.threads) return;
    const uint low = params.seed_low + uint(step[0]);
    const uint2 key = uint2(low, params.seed_high + (low < params.seed_low ? 1u : 0u));
    const bool is_whole = params.mask_height == params.image.height &&
                          params.mask_width == params.image.width &&
                          params.mask_channels == params.image.channels;
    const uint first = 4u * i, end = min(first + 4u, params.elements);
    uint4 words = uint4(0u);
    if (is_whole) words = random_block(first, 0u, key);
    for (uint element = first; element < end; ++element) {
        const uint word =
            is_whole ? words[element - first] : random_word(mask_element(element, params), 0u, key);
        const float factor = word <= params.last_kept ? params.factor : 0.0f;
        store(result, load(source, element, params.run, 1) * factor, element, params.run, 3);
    }
}
