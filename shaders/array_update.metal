// The elementwise operations of optimisers: gradients are prepared, and moments and new weights are computed.

#include <metal_stdlib>

#include "array_access.h"
#include "array_update_params.h"

using namespace metal;

/// Clamp x to a range. Unlike C's fmin and fmax it returns NaN for NaN.
inline float limited(float x, float low, float high) { return x < low ? low : x > high ? high : x; }

inline float sign_or_zero(float x) { return x > 0.0f ? 1.0f : x < 0.0f ? -1.0f : 0.0f; }

/// Compute one of the updates in ArrayUpdateKind. `numbers` has the learning rate and the step size, or a
/// factor. A kind that needs fewer arrays ignores the others.
kernel void array_update(constant ArrayUpdateParams &params [[buffer(0)]],
                         const device float *first [[buffer(1)]], const device float *second [[buffer(2)]],
                         const device float *third [[buffer(3)]], const device float *numbers [[buffer(4)]],
                         device float *result [[buffer(5)]], uint i [[thread_position_in_grid]]) {
    if (i >= params.run.threads) return;
    const float x = load(first, i, params.run, 1), y = load(second, i, params.run, 2),
                z = load(third, i, params.run, 3), rate = numbers[0];
    const float kept = 1.0f - rate * params.decay;
    float value = 0.0f;
    switch (params.kind) {
    case ArrayUpdateKind::gradient: {
        const float given = params.has_factor != 0 ? x * rate : x;
        value = fma(params.of_sign, sign_or_zero(y),
                    fma(params.of_weight, y, limited(given, params.low, params.high) * params.rescale));
        break;
    }
    case ArrayUpdateKind::moving_average:
        value = fma(params.rate, x, params.rest * y);
        break;
    case ArrayUpdateKind::squares:
        value = fma(params.rate, x, params.rest * y * y);
        break;
    case ArrayUpdateKind::momentum:
        value = fma(params.rate, x, rate * y);
        break;
    case ArrayUpdateKind::nesterov:
        value = fma(params.rate, x, y);
        break;
    case ArrayUpdateKind::sgd:
        value = x * kept - rate * y;
        break;
    case ArrayUpdateKind::sgd_moment:
        value = x * kept - z;
        break;
    case ArrayUpdateKind::sgd_nesterov:
        value = x * kept - rate * fma(params.rate, z, y);
        break;
    case ArrayUpdateKind::adaptive:
        value = x * kept - numbers[1] * y / (sqrt(z) + params.epsilon);
        break;
    }
    store(result, value, i, params.run, 5);
}
