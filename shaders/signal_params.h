#pragma once

/// Rows and columns of signals (one row for one axis), of the kernel and of the results.
struct SignalParams {
    unsigned int height, width;
    unsigned int kernel_height, kernel_width;
    unsigned int result_height, result_width;
    unsigned int signals;
    int before_rows, before_columns; ///< samples before the first one in the first result's window
    int clamp;                       ///< 1: positions outside read the nearest sample; 0: they are skipped
    int correlate;                   ///< 0: convolution, the kernel is reversed; 1: correlation
};
