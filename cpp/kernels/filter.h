#pragma once

// What the families with a filter or window have in common, by the names of their properties.

#include "kernels/encoding.h"

namespace mpscnn::kernels {

/// Kernel, stride and dilation of `window`, an ops::Window or ops::TransposedWindow.
template <class Window, class Family> void set_taps(Window &window, const Family &family) {
    window.kernel_height = family.kernel_height;
    window.kernel_width = family.kernel_width;
    window.stride_y = family.stride_y;
    window.stride_x = family.stride_x;
    window.dilation_y = family.dilation_rate_y;
    window.dilation_x = family.dilation_rate_x;
}

template <class Family> ops::Window taps_of(const Family &family) {
    ops::Window window;
    set_taps(window, family);
    return window;
}

/// Throws unless the sizes of a convolution's filter are in their ranges.
template <class Family> void check_filter(const std::string &kernel, const Family &family) {
    require_range(kernel, "kernel_width", family.kernel_width, 1);
    require_range(kernel, "kernel_height", family.kernel_height, 1);
    require_range(kernel, "input_feature_channels", family.input_feature_channels, 1);
    require_range(kernel, "output_feature_channels", family.output_feature_channels, 1);
    require_range(kernel, "stride_x", family.stride_x, 1);
    require_range(kernel, "stride_y", family.stride_y, 1);
    require_range(kernel, "dilation_rate_x", family.dilation_rate_x, 1);
    require_range(kernel, "dilation_rate_y", family.dilation_rate_y, 1);
}

} // namespace mpscnn::kernels
