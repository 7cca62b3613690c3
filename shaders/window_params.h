#pragma once

/// A sliding window: tap t of output position o reads input position o * stride - pad + t * dilation. For a
/// transposed convolution, tap t of input position i adds to output position i * stride - pad + t * dilation.
struct WindowParams {
    int kernel_width, kernel_height;
    int stride_x, stride_y;
    int dilation_x, dilation_y;
    int pad_left, pad_top;
};
