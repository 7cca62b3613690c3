// A convolution with bias and the slopes of a PReLU. Arrays are NHWC, weights [out][row][column][in].

#include <metal_stdlib>

using namespace metal;

struct Sizes {
    int images, height, width, inputs;
    int rows, columns, outputs; // of a result
    int kernel_height, kernel_width, stride_y, stride_x, dilation_y, dilation_x;
    int top, left; // padding
    int group_inputs, group_outputs;
};

kernel void convolution(const device float *source [[buffer(0)]], const device float *weights [[buffer(1)]],
                        const device float *biases [[buffer(2)]], const device float *slopes [[buffer(3)]],
                        constant Sizes &sizes [[buffer(4)]], device float *results [[buffer(5)]],
                        uint position [[thread_position_in_grid]]) {
    const int index = int(position), outputs = sizes.outputs;
    const int output = index % outputs, column = index / outputs % sizes.columns;
    const int row = index / outputs / sizes.columns % sizes.rows;
    const int image = index / outputs / sizes.columns / sizes.rows;
    if (image >= sizes.images) return;
    const int first_input = output / sizes.group_outputs * sizes.group_inputs;
    float sum = biases[output];
    for (int i = 0; i < sizes.kernel_height; ++i)
        for (int j = 0; j < sizes.kernel_width; ++j) {
            const int y = row * sizes.stride_y - sizes.top + i * sizes.dilation_y;
            const int x = column * sizes.stride_x - sizes.left + j * sizes.dilation_x;
            if (y < 0 || y >= sizes.height || x < 0 || x >= sizes.width) continue;
            const int pixel = (image * sizes.height + y) * sizes.width + x;
            const int tap = (output * sizes.kernel_height + i) * sizes.kernel_width + j;
            for (int input = 0; input < sizes.group_inputs; ++input)
                sum += source[pixel * sizes.inputs + first_input + input] *
                       weights[tap * sizes.group_inputs + input];
        }
    results[index] = sum < 0.0f ? slopes[output] * sum : sum;
}
