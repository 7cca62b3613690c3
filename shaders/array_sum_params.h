#pragma once

#include "array_params.h"

/// The parameters of sums over the axes along which `kept` has extent 1.
struct ArraySumParams {
    ArrayRun run;
    ArrayImage source, kept;
    unsigned int results; ///< number of elements of `kept`
    unsigned int parts;   ///< number of threads that sum for one element of `kept`
    int squares;
    float factor;
};

/// The parameters of sums over all pixels, for each channel.
struct ArrayChannelSumParams {
    ArrayRun run;
    unsigned int pixels, channels;
    unsigned int parts;   ///< number of threadgroups that sum for one channel
    unsigned int lanes;   ///< number of channels of a thread: 1, or 4 if `channels` is a multiple of 4
    unsigned int columns; ///< number of a threadgroup's threads with adjacent channels, a power of two
    int squares;
    float factor;
};

/// The number of threads of a threadgroup that adds parts.
enum { parts_threads = 256 };

/// The parameters of the sum of `parts` arrays, which are adjacent in memory.
struct ArrayPartsParams {
    ArrayRun run;
    unsigned int results; ///< number of elements of each array
    unsigned int parts;
    unsigned int rows; ///< number of threads that sum for one result, a power of two
    float factor;
};
