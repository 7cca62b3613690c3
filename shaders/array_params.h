#pragma once

// Shared by shaders and host: numbers have the same size and order on both sides.

/// What every kernel on arrays is reported.
struct ArrayRun {
    unsigned int threads; ///< the grid is rounded up to whole threadgroups
    unsigned int halves;  ///< bit i: the array that is buffer i holds halves, else floats
};

/// Extents of an array without gaps, row-major.
struct ArrayImage {
    unsigned int images, height, width, channels;
};
