#pragma once

// The host fills these structs and shaders read them, so fields have the same size and order on both sides.

/// The parameters that every kernel on arrays has.
struct ArrayRun {
    unsigned int threads; ///< number of threads that have work; the grid is rounded up to whole threadgroups
    unsigned int halves;  ///< bit i: the array in buffer i holds halves; otherwise floats
};

/// The extents of a row-major array without gaps.
struct ArrayImage {
    unsigned int images, height, width, channels;
};
