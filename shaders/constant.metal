// Copies a weight to each image of a tensor.

#include <metal_stdlib>

#include "constant_params.h"
#include "image_access.h"

using namespace metal;

/// Write the constant to each image. `values` are one image in NHWC order. The source is not read.
template <typename Source, typename Destination>
inline void write_constant(Source, Destination destination, constant ConstantParams &params,
                           const device float4 *values, uint3 position) {
    if (outside(position, params.destination)) return;
    const uint slice = position.z % params.destination.slices;
    const uint first =
        (position.y * params.destination.width + position.x) * params.destination.channels + 4 * slice;
    float4 result = float4(0.0f);
    for (uint lane = 0; lane < used_lanes(slice, params.destination); ++lane)
        result[lane] = values[(first + lane) / 4][(first + lane) % 4];
    store(destination, result, position.xy, position.z);
}

#define CONSTANT(TYPE, SOURCE, DESTINATION)                                                                  \
    IMAGE_KERNEL_WITH_TERMS(put_constant, write_constant, ConstantParams, TYPE, SOURCE, DESTINATION)

FOR_EACH_IMAGE_PAIR(CONSTANT)
