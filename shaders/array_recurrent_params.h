#pragma once

#include "activation_params.h"
#include "array_params.h"

/// The number of threads that compute the steps of a sequence together.
enum { recurrent_threads = 128 };

/// The number of arrays, with one number for each unit, in threadgroup memory.
enum { recurrent_arrays = 4 };

/// The activation function of a gate.
struct GateParams {
    int kind; ///< a NeuronKind
    ActivationParams params;
};

/// The parameters of an LSTM or a GRU, whose tensors are (images, steps, sequences, channels).
struct ArrayRecurrentParams {
    ArrayRun run;
    unsigned int steps, sequences, units;
    int is_lstm;     ///< 1: LSTM; 0: GRU
    int reset_after; ///< for a GRU: 1 if r multiplies the product of state and weights
    int reverse;
    int has_states;
    int rounds;                 ///< 1: states are rounded to half
    unsigned int weight_output; ///< stride in elements from one output's weights to the next output's
    unsigned int weight_input;  ///< stride in elements from one input's weights to the next input's
    GateParams gate, candidate, output;
};
