// Convolution and correlation of signals along one axis.

#include <metal_stdlib>

using namespace metal;

struct Sizes {
    int signals, samples, taps, results;
    int before; // samples that the first window covers before its first result
    int clamps; // 1: the signal is surrounded by its nearest sample, 0: by zeros
    int correlates;
};

kernel void signal(const device float *source [[buffer(0)]], const device float *taps [[buffer(1)]],
                   constant Sizes &sizes [[buffer(2)]], device float *results [[buffer(3)]],
                   uint position [[thread_position_in_grid]]) {
    const int index = int(position), number = index / sizes.results;
    if (number >= sizes.signals) return;
    float sum = 0.0f;
    for (int t = 0; t < sizes.taps; ++t) {
        const int wanted = index % sizes.results - sizes.before + t;
        const int sample = clamp(wanted, 0, sizes.samples - 1);
        if (sizes.clamps == 0 && sample != wanted) continue;
        sum += source[number * sizes.samples + sample] * taps[sizes.correlates != 0 ? t : sizes.taps - 1 - t];
    }
    results[index] = sum;
}
