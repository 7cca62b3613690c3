#pragma once

// Code that kernels with a filter or window share. It uses the properties' names.

#include "kernels/encoding.h"

namespace mpscnn::kernels {

/// Copy kernel, stride and dilation of a kernel's properties to `window`, an ops::Window or
/// ops::TransposedWindow.
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

/// Return the rows and columns that windows at `offset` read for a result of this size.
inline ImageRegion windowed_region(const ops::Window &taps, const Offset &offset, const ImageSize &size) {
    const ops::WindowAxis rows{taps.kernel_height, taps.stride_y, taps.dilation_y};
    const ops::WindowAxis columns{taps.kernel_width, taps.stride_x, taps.dilation_x};
    ImageRegion region;
    region.y = offset.y - rows.reach() / 2;
    region.x = offset.x - columns.reach() / 2;
    region.height = (size.height - 1) * rows.stride + rows.reach();
    region.width = (size.width - 1) * columns.stride + columns.reach();
    return region;
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
