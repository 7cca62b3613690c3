// The first largest or first smallest channel of each pixel.

#include <metal_stdlib>

using namespace metal;

struct Sizes {
    int pixels, channels;
    int smallest; // 1: the first smallest channel, 0: the first largest
};

kernel void argument(const device float *source [[buffer(0)]], constant Sizes &sizes [[buffer(1)]],
                     device float *results [[buffer(2)]], uint position [[thread_position_in_grid]]) {
    const int pixel = int(position);
    if (pixel >= sizes.pixels) return;
    const device float *values = source + pixel * sizes.channels;
    int best = 0;
    for (int channel = 1; channel < sizes.channels; ++channel)
        if (sizes.smallest != 0 ? values[channel] < values[best] : values[channel] > values[best])
            best = channel;
    results[pixel] = float(best);
}
