#pragma once

#include "activation_params.h"
#include "array_params.h"

/// The threads that compute the steps of a sequence together.
enum { recurrent_threads = 128 };

/// The arrays of units in a threadgroup's memory.
enum { recurrent_arrays = 4 };

/// A function of a gate.
struct GateParams {
    int kind; ///< a NeuronKind
    ActivationParams params;
};

/// An LSTM or a GRU, whose tensors are (images, steps, sequences, channels).
struct ArrayRecurrentParams {
    ArrayRun run;
    unsigned int steps, sequences, units;
    int is_lstm;     ///< otherwise a GRU
    int reset_after; ///< of a GRU
    int reverse;
    int has_states;
    int rounds;                 ///< states are rounded to half
    unsigned int weight_output; ///< distance in elements from the weight of one output to that of the next
    unsigned int weight_input;  ///< the same for inputs
    GateParams gate, candidate, output;
};
