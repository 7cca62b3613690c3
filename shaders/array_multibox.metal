// The loss of a single-shot detector (multibox loss) and its gradient. Four kinds of kernels run one after
// another: they find the anchors with boxes, compute the cross entropy of all anchors, choose the anchors
// that count, and compute the losses or gradients. A thread computes one anchor.

#include <metal_stdlib>

#include "array_access.h"
#include "array_multibox_params.h"

using namespace metal;

constant uint box_numbers = 4u;

/// The parts of a stable log-sum-exp: the maximum of an anchor's logits, and the logarithm of the sum of
/// e^(logit - maximum).
struct LogarithmicSum {
    float largest, logarithm;
};

inline LogarithmicSum logarithmic_sum(const device float *prediction, uint first,
                                      constant ArrayMultiboxParams &params, uint number) {
    LogarithmicSum found;
    const uint behind = first + params.channels - box_numbers;
    found.largest = load(prediction, first, params.run, number);
    for (uint k = first; k < behind; ++k) {
        const float y = load(prediction, k, params.run, number);
        if (y > found.largest || y != y) found.largest = y;
    }
    LongSum powers;
    powers.begin();
    for (uint k = first; k < behind; ++k)
        powers.add(exp(load(prediction, k, params.run, number) - found.largest));
    found.logarithm = log(powers.result());
    return found;
}

/// Write 1 for anchors with a box, whose label is a class other than the background, and 0 for others.
kernel void array_multibox_boxes(constant ArrayMultiboxParams &params [[buffer(0)]],
                                 const device float *labels [[buffer(1)]], device float *boxes [[buffer(2)]],
                                 uint i [[thread_position_in_grid]]) {
    if (i >= params.run.threads) return;
    float sum = 0.0f;
    for (uint k = box_numbers + 1u; k < params.channels; ++k)
        sum += load(labels, i * params.channels + k, params.run, 1);
    store(boxes, sum > 0.0f ? 1.0f : 0.0f, i, params.run, 2);
}

/// Compute the cross entropy of each anchor. It is NaN if a logit is NaN, even without a label.
kernel void array_multibox_errors(constant ArrayMultiboxParams &params [[buffer(0)]],
                                  const device float *prediction [[buffer(1)]],
                                  const device float *labels [[buffer(2)]],
                                  device float *errors [[buffer(3)]], uint i [[thread_position_in_grid]]) {
    if (i >= params.run.threads) return;
    const uint first = i * params.channels + box_numbers, behind = (i + 1u) * params.channels;
    const LogarithmicSum sum = logarithmic_sum(prediction, first, params, 1);
    float error = sum.logarithm == sum.logarithm ? 0.0f : sum.logarithm;
    for (uint k = first; k < behind; ++k) {
        const float t = load(labels, k, params.run, 2);
        if (t != 0.0f) error -= t * (load(prediction, k, params.run, 1) - sum.largest - sum.logarithm);
    }
    store(errors, error < 0.0f ? 0.0f : error, i, params.run, 3);
}

inline bool is_background(const device float *labels, const device float *boxes, uint i,
                          constant ArrayMultiboxParams &params) {
    return load(boxes, i, params.run, 3) == 0.0f &&
           load(labels, i * params.channels + box_numbers, params.run, 1) > 0.0f;
}

/// Return an error as a number for comparisons. NaN counts as infinity.
inline float rank_of(float error) { return error == error ? error : INFINITY; }

/// Write 1 for anchors whose class loss counts: those with a box, and the background anchors with the largest
/// errors in each image (hard negative mining). `of_images` holds the number of boxes of each image.
kernel void array_multibox_choice(constant ArrayMultiboxParams &params [[buffer(0)]],
                                  const device float *labels [[buffer(1)]],
                                  const device float *errors [[buffer(2)]],
                                  const device float *boxes [[buffer(3)]],
                                  const device float *of_images [[buffer(4)]],
                                  device float *choice [[buffer(5)]], uint i [[thread_position_in_grid]]) {
    if (i >= params.run.threads) return;
    float counts = load(boxes, i, params.run, 3);
    if (is_background(labels, boxes, i, params)) {
        const uint image = i / params.anchors, first = image * params.anchors;
        const float own = rank_of(load(errors, i, params.run, 2));
        uint before = 0u; // background anchors with a larger error, or the same error and a lower index
        for (uint k = first; k < first + params.anchors; ++k) {
            if (!is_background(labels, boxes, k, params)) continue;
            const float other = rank_of(load(errors, k, params.run, 2));
            if (other > own || (other == own && k < i)) ++before;
        }
        const float share = params.negative_ratio * load(of_images, image, params.run, 4);
        const uint wanted = share < float(params.anchors) ? uint(share) : params.anchors;
        counts = before < max(wanted, params.min_negatives) ? 1.0f : 0.0f;
    }
    store(choice, counts, i, params.run, 5);
}

/// Compute the loss of each anchor. An anchor that does not count is not skipped: its loss is multiplied by
/// 0, so that a NaN in it appears in the result. `count` is the number of boxes in all images.
kernel void array_multibox_loss(constant ArrayMultiboxParams &params [[buffer(0)]],
                                const device float *prediction [[buffer(1)]],
                                const device float *labels [[buffer(2)]],
                                const device float *errors [[buffer(3)]],
                                const device float *boxes [[buffer(4)]],
                                const device float *choice [[buffer(5)]],
                                const device float *count [[buffer(6)]], device float *losses [[buffer(7)]],
                                uint i [[thread_position_in_grid]]) {
    if (i >= params.run.threads) return;
    float of_box = 0.0f;
    for (uint k = i * params.channels; k < i * params.channels + box_numbers; ++k) {
        const float size = fabs(load(prediction, k, params.run, 1) - load(labels, k, params.run, 2));
        of_box += size > params.delta ? params.delta * (size - 0.5f * params.delta) : 0.5f * size * size;
    }
    const float loss = load(boxes, i, params.run, 4) * params.box_weight * of_box +
                       load(choice, i, params.run, 5) * load(errors, i, params.run, 3);
    store(losses, loss / max(load(count, 0u, params.run, 6), 1.0f), i, params.run, 7);
}

kernel void array_multibox_gradient(constant ArrayMultiboxParams &params [[buffer(0)]],
                                    const device float *prediction [[buffer(1)]],
                                    const device float *labels [[buffer(2)]],
                                    const device float *boxes [[buffer(3)]],
                                    const device float *choice [[buffer(4)]],
                                    const device float *count [[buffer(5)]],
                                    device float *gradient [[buffer(6)]],
                                    uint i [[thread_position_in_grid]]) {
    if (i >= params.run.threads) return;
    const uint begin = i * params.channels, first = begin + box_numbers, behind = begin + params.channels;
    const float share = 1.0f / max(load(count, 0u, params.run, 5), 1.0f);
    const float of_box = share * load(boxes, i, params.run, 3) * params.box_weight;
    for (uint k = begin; k < first; ++k) {
        const float difference = load(prediction, k, params.run, 1) - load(labels, k, params.run, 2);
        const float slope = difference > params.delta    ? params.delta
                            : difference < -params.delta ? -params.delta
                                                         : difference;
        store(gradient, of_box * slope, k, params.run, 6);
    }
    const float of_class = share * load(choice, i, params.run, 4);
    const LogarithmicSum sum = logarithmic_sum(prediction, first, params, 1);
    for (uint k = first; k < behind; ++k) {
        const float y = load(prediction, k, params.run, 1);
        const float probability = exp(y - sum.largest - sum.logarithm);
        store(gradient, of_class * (probability - load(labels, k, params.run, 2)), k, params.run, 6);
    }
}
