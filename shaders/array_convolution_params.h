#pragma once

#include "activation_params.h"
#include "array_params.h"
#include "window_params.h"

/// The parameters of a convolution, or of one of its gradients. Weights are [output][row][column][input of
/// the group].
struct ArrayConvolutionParams {
    ArrayRun run;
    ArrayImage input, output; ///< extents of the convolution's input and output
    WindowParams window;
    unsigned int group_inputs, group_outputs; ///< number of input and output channels of a group
    unsigned int weights;                     ///< number of weights
    unsigned int part; ///< for the weight gradient: pixels that a thread or threadgroup sums
    int has_bias;
    int has_addend; ///< for products: 1 if an array of the output's shape is added to the sums
    ActivationParams activation;
};

/// The parameters of a depthwise convolution with a window of 3x3 and channel multiplier 1, and of the
/// pointwise convolution of its results. The weights of the depthwise one are [row][column][channel].
struct ArraySeparableParams {
    ArrayRun run;
    ArrayImage source;              ///< extents of the depthwise convolution's input
    WindowParams window;            ///< the depthwise convolution's window
    int has_offsets;                ///< 1 if the depthwise convolution has a bias
    float low, high;                ///< limits of the depthwise convolution's results
    ArrayConvolutionParams product; ///< the pointwise convolution; its field `run` is not used
};

/// The sizes of a tiled matrix product. A threadgroup computes one tile of the result. Between two barriers
/// it adds `product_depth` products to each of the tile's numbers.
enum {
    product_tile = 64, ///< rows and columns of a tile of the result
    product_depth = 16,
    product_threads = 128,
    product_pitch = product_tile + 4, ///< stride in floats from one depth to the next in threadgroup memory
    /// Floats of both operands' parts in threadgroup memory.
    product_floats = 2 * product_depth * product_pitch,
    /// The most products that a kernel in simdgroups adds one after the other. Their rounding errors are at
    /// most simdgroup_sum_depths / 2^24 = 2^-11 of the sum of magnitudes, which is half of what Metal
    /// promises.
    simdgroup_sum_depths = 8192
};

/// The sizes of products for layers with few pixels (array_small_product.h).
enum {
    small_tile = 32,      ///< rows and columns of a tile of the result
    small_simdgroups = 8, ///< simdgroups of a threadgroup
    small_threads = 32 * small_simdgroups,
    small_depths = 8 * small_simdgroups, ///< depths of a step: eight for each simdgroup
    small_pitch = small_tile + 4,        ///< stride in floats from one depth or row of sums to the next
    small_floats = 4 * small_tile * small_pitch ///< floats of threadgroup memory: the sums of four simdgroups
};
