// The indices of each pixel's largest or smallest feature channels. MPS finds at most 16 of them, in
// matrices.

#include <metal_stdlib>

#include "image_access.h"
#include "top_k_params.h"

using namespace metal;

/// Return true if a comes before b. NaN is larger than all numbers.
inline bool comes_first(float a, float b, bool of_minimum) {
    if (a != a || b != b) return of_minimum ? a == a && b != b : a != a && b == b;
    return of_minimum ? a < b : a > b;
}

/// Find the channels at four places of the sorted order. Each pass over all channels finds the best one of
/// those that come after the channel of the pass before. So a thread makes one pass for each of its places
/// and for each place before them.
template <typename Source, typename Destination>
inline void top_k(Source source, Destination destination, constant TopKParams &params, uint3 position) {
    if (outside(position, params.destination)) return;
    const SliceOfImage place = slice_of_image(position, params.destination);
    const bool of_minimum = params.of_minimum != 0;
    float4 result = float4(0.0f);
    float last = 0.0f;
    uint last_channel = 0u;
    const uint end = 4u * place.slice + used_lanes(place.slice, params.destination);
    for (uint number = 0; number < end; ++number) {
        float best = 0.0f;
        uint best_channel = params.source.channels;
        for (uint c = 0; c < params.source.channels; ++c) {
            const float x = fetch_channel(source, position.xy, place.image, c, params.source);
            const bool is_later = number == 0u || comes_first(last, x, of_minimum) ||
                                  (!comes_first(x, last, of_minimum) && c > last_channel);
            if (is_later && (best_channel == params.source.channels || comes_first(x, best, of_minimum))) {
                best = x;
                best_channel = c;
            }
        }
        last = best;
        last_channel = best_channel;
        if (number >= 4u * place.slice) result[number % 4u] = float(best_channel);
    }
    store(destination, result, position.xy, position.z);
}

#define TOP_K(TYPE, SOURCE, DESTINATION)                                                                     \
    kernel void top_k_##TYPE##_##SOURCE##_##DESTINATION(                                                     \
        SOURCE<float, access::read> source [[texture(0)]],                                                   \
        DESTINATION<TYPE, access::write> destination [[texture(1)]],                                         \
        constant TopKParams &params [[buffer(0)]], uint3 position [[thread_position_in_grid]]) {             \
        top_k(source, destination, params, position);                                                        \
    }

FOR_EACH_IMAGE_PAIR(TOP_K)
