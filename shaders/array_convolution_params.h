#pragma once

#include "activation_params.h"
#include "array_params.h"
#include "window_params.h"

/// A convolution, or one of its gradients. Weights are [output][row][column][input of the group].
struct ArrayConvolutionParams {
    ArrayRun run;
    ArrayImage input, output; ///< of the convolution
    WindowParams window;
    unsigned int group_inputs, group_outputs; ///< channels of a group
    unsigned int weights;                     ///< number of weights
    unsigned int part; ///< for the weight gradient: pixels that a thread, or group, sums
    int has_bias;
    int has_addend; ///< for products: an array of the output's shape is added to the sums
    ActivationParams activation;
};

/// The tiles of a product of matrices. A threadgroup computes one, and adds `product_depth` products to each
/// number of it between two barriers.
enum {
    product_tile = 64, ///< rows and columns of a tile
    product_depth = 16,
    product_threads = 128,
    product_pitch = product_tile + 4, ///< floats from one depth to the next in threadgroup memory
    product_floats = 2 * product_depth * product_pitch ///< of both operands
};
