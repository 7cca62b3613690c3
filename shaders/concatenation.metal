// Writes one part of a concatenation into the whole.

#include <metal_stdlib>

#include "concatenation_params.h"
#include "image_access.h"

using namespace metal;

template <typename Source, typename Destination>
inline void place(Source part, Destination whole, constant ConcatenationParams &params, uint3 position) {
    if (outside(position, params.part)) return;
    const uint slice = position.z % params.part.slices, image = position.z / params.part.slices;
    const float4 value = without_unused_lanes(fetch(part, position.xy, position.z), slice, params.part);
    const uint2 target = position.xy + uint2(params.x, params.y);
    store(whole, value, target, image * params.whole_slices + params.slice + slice);
}

#define PLACE(TYPE, SOURCE, DESTINATION)                                                                     \
    kernel void concatenation_##TYPE##_##SOURCE##_##DESTINATION(                                             \
        SOURCE<TYPE, access::read> part [[texture(0)]],                                                      \
        DESTINATION<TYPE, access::write> whole [[texture(1)]],                                               \
        constant ConcatenationParams &params [[buffer(0)]], uint3 position [[thread_position_in_grid]]) {    \
        place(part, whole, params, position);                                                                \
    }

FOR_EACH_IMAGE_PAIR(PLACE)
