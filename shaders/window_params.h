#pragma once

/// A sliding window: tap t of output position o reads input position o * stride - pad + t * dilation.
struct WindowParams {
    int kernel_width, kernel_height;
    int stride_x, stride_y;
    int dilation_x, dilation_y;
    int pad_left, pad_top;
};
