// The gradient of a gather: each position of the source gets the sum of the gradients of its copies.

#include <metal_stdlib>

#include "array_access.h"
#include "array_gather_params.h"

using namespace metal;

/// Compute the gradient. `copies` has `extent` + 1 offsets and then a list, in which position p has the
/// entries from offset p to before offset p + 1. Each entry is the index of a copy of p in the gather's
/// result.
kernel void array_gather_gradient(constant ArrayGatherParams &params [[buffer(0)]],
                                  const device float *gradient [[buffer(1)]],
                                  device float *result [[buffer(2)]], const device int *copies [[buffer(3)]],
                                  uint i [[thread_position_in_grid]]) {
    if (i >= params.run.threads) return;
    const uint inner = i % params.inner, position = i / params.inner % params.extent,
               outer = i / params.inner / params.extent;
    const device int *list = copies + params.extent + 1u;
    float sum = 0.0f;
    for (int k = copies[position]; k < copies[position + 1u]; ++k) {
        const uint from = (outer * params.count + uint(list[k])) * params.inner + inner;
        sum += load(gradient, from, params.run, 1);
    }
    store(result, sum, i, params.run, 2);
}
