// Bilinear resize of NHWC images whose corners stay in their places.

#include <metal_stdlib>

using namespace metal;

struct Sizes {
    int images, height, width, channels;
    int rows, columns; // of a result
};

kernel void resize(const device float *source [[buffer(0)]], constant Sizes &sizes [[buffer(1)]],
                   device float *results [[buffer(2)]], uint position [[thread_position_in_grid]]) {
    const int index = int(position), channels = sizes.channels;
    const int channel = index % channels, column = index / channels % sizes.columns;
    const int row = index / channels / sizes.columns % sizes.rows;
    const int image = index / channels / sizes.columns / sizes.rows;
    if (image >= sizes.images) return;
    // Row r lies at r (height - 1) / (rows - 1).
    const int vertical = row * (sizes.height - 1), vertical_steps = max(sizes.rows - 1, 1);
    const int horizontal = column * (sizes.width - 1), horizontal_steps = max(sizes.columns - 1, 1);
    float result = 0.0f;
    for (int i = 0; i < 2; ++i)
        for (int j = 0; j < 2; ++j) {
            const float down = float(vertical % vertical_steps) / float(vertical_steps);
            const float right = float(horizontal % horizontal_steps) / float(horizontal_steps);
            const int y = min(vertical / vertical_steps + i, sizes.height - 1);
            const int x = min(horizontal / horizontal_steps + j, sizes.width - 1);
            const float weight = (i == 1 ? down : 1.0f - down) * (j == 1 ? right : 1.0f - right);
            result += weight * source[((image * sizes.height + y) * sizes.width + x) * channels + channel];
        }
    results[index] = result;
}
