// The gradients of softmax and log-softmax, computed from their results.

#include <metal_stdlib>

#include "array_access.h"
#include "array_softmax_params.h"

using namespace metal;

kernel void array_softmax_gradient(constant ArraySoftmaxParams &params [[buffer(0)]],
                                   const device float *gradient [[buffer(1)]],
                                   const device float *softmax [[buffer(2)]],
                                   device float *result [[buffer(3)]], uint i [[thread_position_in_grid]]) {
    if (i >= params.run.threads) return;
    const uint first = i * params.channels, behind = first + params.channels;
    LongSum sum;
    sum.begin();
    for (uint k = first; k < behind; ++k) {
        const float given = load(gradient, k, params.run, 1);
        sum.add(params.logarithm != 0 ? given : given * load(softmax, k, params.run, 2));
    }
    const float total = sum.result();
    for (uint k = first; k < behind; ++k) {
        const float given = load(gradient, k, params.run, 1), y = load(softmax, k, params.run, 2);
        store(result, params.logarithm != 0 ? given - exp(y) * total : y * (given - total), k, params.run, 3);
    }
}
