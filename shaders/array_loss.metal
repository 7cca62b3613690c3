// Elementwise losses and their gradients. A thread computes all channels of a pixel, because cross entropy
// needs all of them.

#include <metal_stdlib>

#include "array_access.h"
#include "array_loss_params.h"
#include "exponentials.h"

using namespace metal;

/// Return t * log(x), or 0 where t is 0.
inline float times_logarithm(float t, float x) { return t == 0.0f ? 0.0f : t * log(x); }

inline float sign_or_nan(float x) { return x > 0.0f ? 1.0f : x < 0.0f ? -1.0f : x; }

/// Return the loss of a prediction y and a label t. For cross entropy, y is the log-softmax.
inline float loss_of_element(float y, float t, constant ArrayLossParams &params) {
    const float difference = y - t, size = fabs(difference);
    switch (params.kind) {
    case ArrayLossKind::absolute:
        return size;
    case ArrayLossKind::squared:
        return difference * difference;
    case ArrayLossKind::softmax:
        return t == 0.0f ? 0.0f : -t * y;
    case ArrayLossKind::sigmoid: {
        const float4 rest = log1p(exp(float4(-fabs(y))));
        return (y > 0.0f ? y : 0.0f * y) - y * t + rest[0];
    }
    case ArrayLossKind::categorical:
        return -times_logarithm(t, y);
    case ArrayLossKind::hinge: {
        const float margin = 1.0f - (2.0f * t - 1.0f) * y;
        return margin < 0.0f ? 0.0f : margin;
    }
    case ArrayLossKind::huber:
        return size > params.delta ? params.delta * (size - 0.5f * params.delta) : 0.5f * size * size;
    case ArrayLossKind::cosine:
        return params.start - y * t;
    case ArrayLossKind::log:
        return -(times_logarithm(t, y + params.epsilon) +
                 times_logarithm(1.0f - t, 1.0f - y + params.epsilon));
    case ArrayLossKind::kullback_leibler:
        return times_logarithm(t, t) - t * y;
    default:
        return 1.0f;
    }
}

/// Return the derivative of a loss with respect to y. For cross entropy, y is the softmax here.
inline float gradient_of_element(float y, float t, constant ArrayLossParams &params) {
    const float difference = y - t;
    switch (params.kind) {
    case ArrayLossKind::absolute:
        return sign_or_nan(difference);
    case ArrayLossKind::squared:
        return 2.0f * difference;
    case ArrayLossKind::softmax:
        return difference;
    case ArrayLossKind::sigmoid: {
        const float4 result = sigmoid(float4(y));
        return result[0] - t;
    }
    case ArrayLossKind::categorical:
        return t == 0.0f ? 0.0f : -t / y;
    case ArrayLossKind::hinge: {
        const float sign = 2.0f * t - 1.0f;
        return 1.0f - sign * y > 0.0f ? -sign : 0.0f;
    }
    case ArrayLossKind::huber:
        return difference > params.delta    ? params.delta
               : difference < -params.delta ? -params.delta
                                            : difference;
    case ArrayLossKind::log:
        return (1.0f - t) / (1.0f - y + params.epsilon) - t / (y + params.epsilon);
    default: // cosine and kullback_leibler
        return -t;
    }
}

kernel void array_loss(constant ArrayLossParams &params [[buffer(0)]],
                       const device float *prediction [[buffer(1)]], const device float *labels [[buffer(2)]],
                       const device float *weights [[buffer(3)]], device float *result [[buffer(4)]],
                       uint i [[thread_position_in_grid]]) {
    if (i >= params.run.threads) return;
    const uint first = i * params.channels, behind = first + params.channels;
    float largest = 0.0f, sum = 1.0f;
    if (params.kind == ArrayLossKind::softmax) {
        largest = load(prediction, first, params.run, 1);
        for (uint k = first; k < behind; ++k) {
            const float y = load(prediction, k, params.run, 1);
            if (y > largest || y != y) largest = y;
        }
        LongSum powers;
        powers.begin();
        for (uint k = first; k < behind; ++k) powers.add(exp(load(prediction, k, params.run, 1) - largest));
        sum = powers.result();
    }
    const float logarithm = log(sum);
    LongSum labels_sum;
    labels_sum.begin();
    bool counted = false;
    for (uint k = first; k < behind && (params.sums_labels != 0 || params.counts_pixels != 0); ++k) {
        const float weight = params.has_weights != 0 ? load(weights, k, params.run, 3) : 1.0f;
        labels_sum.add(fma(load(labels, k, params.run, 2), params.kept, params.share) * weight);
        counted = counted || weight != 0.0f;
    }
    const float sum_of_labels = labels_sum.result();
    for (uint k = first; k < behind; ++k) {
        const float t = fma(load(labels, k, params.run, 2), params.kept, params.share);
        const float weight = params.has_weights != 0 ? load(weights, k, params.run, 3) : 1.0f;
        float y = load(prediction, k, params.run, 1);
        if (params.kind == ArrayLossKind::counted) {
            const bool one = params.counts_pixels != 0 ? counted && k == first : weight != 0.0f;
            store(result, one ? params.factor : 0.0f, k, params.run, 4);
            continue;
        }
        if (params.sums_labels != 0) {
            const float softmax = exp(y - largest) / sum;
            store(result, (softmax * sum_of_labels - t * weight) * params.factor, k, params.run, 4);
            continue;
        }
        if (params.kind == ArrayLossKind::softmax)
            y = params.is_gradient != 0 ? exp(y - largest) / sum : y - largest - logarithm;
        const float loss =
            params.is_gradient != 0 ? gradient_of_element(y, t, params) : loss_of_element(y, t, params);
        store(result, loss * params.factor * weight, k, params.run, 4);
    }
}

/// Divide elements of two arrays. A divisor below 1 is replaced by 1.
kernel void array_quotient(constant ArrayRun &run [[buffer(0)]], const device float *first [[buffer(1)]],
                           const device float *second [[buffer(2)]], device float *result [[buffer(3)]],
                           uint i [[thread_position_in_grid]]) {
    if (i >= run.threads) return;
    store(result, load(first, i, run, 1) / max(load(second, i, run, 2), 1.0f), i, run, 3);
}
