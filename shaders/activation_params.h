#pragma once

// Shared by shaders and host: numbers have the same size and order on both sides.

/// Numbered as MPSCNNNeuronType.
enum ActivationKind {
    activation_none = 0,
    activation_relu = 1,
    activation_linear = 2,
    activation_prelu = 10,
    activation_relun = 11
};

struct ActivationParams {
    int kind; ///< ActivationKind
    float a, b;
};
