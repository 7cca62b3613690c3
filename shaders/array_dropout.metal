// Dropout with another mask in each step of training.

#include <metal_stdlib>

#include "array_access.h"
#include "array_dropout_params.h"
#include "philox.h"

using namespace metal;

kernel void array_step_dropout(constant ArrayDropoutParams &params [[buffer(0)]],
                               const device float *source [[buffer(1)]],
                               const device float *step [[buffer(2)]], device float *result [[buffer(3)]],
                               uint i [[thread_position_in_grid]]) {
    if (i >= params.run.threads) return;
    const ArrayPlace at = array_place(i, params.image);
    const uint y = min(at.y, params.mask_height - 1u), x = min(at.x, params.mask_width - 1u),
               channel = min(at.channel, params.mask_channels - 1u);
    const uint pixel = (at.image * params.mask_height + y) * params.mask_width + x;
    const uint low = params.seed_low + uint(step[0]);
    const uint2 key = uint2(low, params.seed_high + (low < params.seed_low ? 1u : 0u));
    const uint word = random_word(pixel * params.mask_channels + channel, 0u, key);
    const float factor = word <= params.last_kept ? params.factor : 0.0f;
    store(result, load(source, i, params.run, 1) * factor, i, params.run, 3);
}
