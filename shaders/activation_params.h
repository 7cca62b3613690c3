#pragma once

// Shared by shaders and host: numbers have the same size and order on both sides.

/// Numbered as MPSCNNNeuronType; the function constant 0 of every shader.
enum ActivationKind {
    activation_none = 0,
    activation_relu = 1,
    activation_linear = 2,
    activation_sigmoid = 3,
    activation_hard_sigmoid = 4,
    activation_tanh = 5,
    activation_absolute = 6,
    activation_softplus = 7,
    activation_softsign = 8,
    activation_elu = 9,
    activation_prelu = 10,
    activation_relun = 11,
    activation_power = 12,
    activation_exponential = 13,
    activation_logarithm = 14,
    activation_gelu = 15
};

struct ActivationParams {
    float a, b, c;
};
