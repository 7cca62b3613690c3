// The kernels of array_small_simdgroup_product.h for floats.

#include <metal_stdlib>

#include "array_small_simdgroup_product.h"

using namespace metal;

SMALL_PRODUCT(array_small_product_in_simdgroups, PatchRows, SmallSimdgroupSums, float4, float, SMALL_LANE,
              number)
SMALL_PRODUCT(array_small_pointwise_product_in_simdgroups, PixelRows, SmallSimdgroupSums, float4, float,
              SMALL_LANE, number)
