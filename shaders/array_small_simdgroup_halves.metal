// The kernels of array_small_simdgroup_product.metal for halves. They multiply matrices of halves into sums of
// floats, which Metal 2.3 does not document. They have a file of their own, so that a compiler that refuses this
// costs only these kernels: the kernels of single threads replace them.

#include <metal_stdlib>

#include "array_small_simdgroup_product.h"

using namespace metal;

SMALL_PRODUCT(array_small_product_of_halves_in_simdgroups, PatchRows, SmallSimdgroupSums, half4, half,
              SMALL_LANE, number)
SMALL_PRODUCT(array_small_pointwise_product_of_halves_in_simdgroups, PixelRows, SmallSimdgroupSums, half4,
              half, SMALL_LANE, number)
