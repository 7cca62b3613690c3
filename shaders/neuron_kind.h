#pragma once

/// The table of activation functions, from which the operations, the CPU engine's kernels and the shaders are
/// generated. docs/ops/neuron.md shows the formulas. The first sixteen have the names and numbers of Apple's
/// MPSCNNNeuronType, and its meanings of a, b and c; Metal Performance Shaders has no others.
// clang-format off
#define FOR_EACH_NEURON(NEURON)                                                                              \
    NEURON(none)         /* x */                                                                             \
    NEURON(relu)         /* x >= 0 ? x : a * x */                                                            \
    NEURON(linear)       /* a * x + b */                                                                     \
    NEURON(sigmoid)      /* 1 / (1 + e^-x) */                                                                \
    NEURON(hard_sigmoid) /* min(max(a * x + b, 0), 1) */                                                     \
    NEURON(tanh)         /* a * tanh(b * x) */                                                               \
    NEURON(absolute)     /* |x| */                                                                           \
    NEURON(softplus)     /* a * ln(1 + e^(b * x)) */                                                         \
    NEURON(softsign)     /* x / (1 + |x|) */                                                                 \
    NEURON(elu)          /* x >= 0 ? x : a * (e^x - 1) */                                                    \
    NEURON(prelu)        /* x >= 0 ? x : slope[channel] * x */                                               \
    NEURON(relun)        /* min(x >= 0 ? x : a * x, b) */                                                    \
    NEURON(power)        /* (a * x + b)^c as C's pow, but NaN^0 is NaN, and roots of -0 keep its sign */     \
    NEURON(exponential)  /* c^(a * x + b); c = -1 means e */                                                 \
    NEURON(logarithm)    /* log_c(a * x + b); c = -1 means e */                                              \
    NEURON(gelu)         /* x / 2 * (1 + erf(x / sqrt 2)) */                                                 \
    NEURON(hard_swish)   /* x * min(max(x + 3, 0), 6) / 6 */                                                 \
    NEURON(swish)        /* x / (1 + e^(-b * x)) */                                                          \
    NEURON(mish)         /* x * tanh(ln(1 + e^x)) */                                                         \
    NEURON(gelu_tanh)    /* x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x^3))) */                       \
    NEURON(clamp)        /* min(max(x, a), b) */                                                             \
    NEURON(sign)         /* -1, 0 or 1 */                                                                    \
    NEURON(floor)        /* the largest whole number that is not above x */                                  \
    NEURON(ceil)         /* the smallest whole number that is not below x */                                 \
    NEURON(round)        /* the nearest whole number, ties to even */                                        \
    NEURON(erf)          /* 2 / sqrt pi times the integral of e^(-t^2) from 0 to x */
// clang-format on

#define NEURON_KIND(NAME) NAME,
enum class NeuronKind : int { FOR_EACH_NEURON(NEURON_KIND) };
#undef NEURON_KIND
