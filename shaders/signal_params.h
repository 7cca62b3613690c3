#pragma once

/// Rows and columns of the signals, of the kernel and of the results. A signal with one axis has one row.
struct SignalParams {
    unsigned int height, width;
    unsigned int kernel_height, kernel_width;
    unsigned int result_height, result_width;
    unsigned int signals;
    /// Number of samples that the first result's window reaches before the signal.
    int before_rows, before_columns;
    int clamp;     ///< 1: positions outside read the nearest sample; 0: they are skipped
    int correlate; ///< 0: convolution, the kernel is reversed; 1: correlation
};
