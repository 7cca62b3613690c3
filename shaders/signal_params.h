#pragma once

/// Rows and columns of signals (one row for one axis), of the kernel and of the results.
struct SignalParams {
    unsigned int height, width;
    unsigned int kernel_height, kernel_width;
    unsigned int result_height, result_width;
    unsigned int signals;
    int before_rows, before_columns; ///< of the first result's window
    int clamp;                       ///< 1: the nearest sample lies outside, 0: nothing
    int correlate;                   ///< 0: the kernel is reversed
};
