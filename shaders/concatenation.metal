// Copies one part of a concatenation to its place in the result.

#include <metal_stdlib>

#include "concatenation_params.h"
#include "image_access.h"

using namespace metal;

template <typename Source, typename Destination>
inline void place_part(Source part, Destination whole, constant ConcatenationParams &params, uint3 position) {
    if (outside(position, params.part)) return;
    const SliceOfImage place = slice_of_image(position, params.part);
    const float4 value = without_unused_lanes(fetch(part, position.xy, position.z), place.slice, params.part);
    const uint block = position.y / params.part_rows, row = position.y % params.part_rows;
    const uint2 target = uint2(params.x + position.x, block * params.whole_rows + params.y + row);
    store(whole, value, target, place.image * params.whole_slices + params.slice + place.slice);
}

#define PLACE_PART(TYPE, SOURCE, DESTINATION)                                                                \
    IMAGE_KERNEL(concatenation, place_part, ConcatenationParams, TYPE, SOURCE, DESTINATION)

FOR_EACH_IMAGE_PAIR(PLACE_PART)
