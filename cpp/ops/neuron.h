#pragma once

#include "ops/operation.h"

namespace mpscnn::ops {

/// Activation functions, with Apple's names and numbering (MPSCNNNeuronType) and the meaning of a, b and c
/// there.
enum class NeuronKind {
    none = 0,         ///< x
    relu = 1,         ///< x >= 0 ? x : a * x
    linear = 2,       ///< a * x + b
    sigmoid = 3,      ///< 1 / (1 + e^-x)
    hard_sigmoid = 4, ///< min(max(a * x + b, 0), 1)
    tanh = 5,         ///< a * tanh(b * x)
    absolute = 6,     ///< |x|
    softplus = 7,     ///< a * ln(1 + e^(b * x))
    softsign = 8,     ///< x / (1 + |x|)
    elu = 9,          ///< x >= 0 ? x : a * (e^x - 1)
    prelu = 10,       ///< x >= 0 ? x : slope[channel] * x
    relun = 11,       ///< min(x >= 0 ? x : a * x, b); ReLU6 is a = 0, b = 6
    power = 12,       ///< (a * x + b)^c as C's pow, but NaN^0 is NaN
    exponential = 13, ///< c^(a * x + b); c = -1 means e
    logarithm = 14,   ///< log_c(a * x + b); c = -1 means e
    gelu = 15,        ///< x / 2 * (1 + erf(x / sqrt 2))
};

template <> struct EnumNames<NeuronKind> {
    static constexpr std::array<std::pair<const char *, NeuronKind>, 16> values{
        {{"none", NeuronKind::none},
         {"relu", NeuronKind::relu},
         {"linear", NeuronKind::linear},
         {"sigmoid", NeuronKind::sigmoid},
         {"hard_sigmoid", NeuronKind::hard_sigmoid},
         {"tanh", NeuronKind::tanh},
         {"absolute", NeuronKind::absolute},
         {"softplus", NeuronKind::softplus},
         {"softsign", NeuronKind::softsign},
         {"elu", NeuronKind::elu},
         {"prelu", NeuronKind::prelu},
         {"relun", NeuronKind::relun},
         {"power", NeuronKind::power},
         {"exponential", NeuronKind::exponential},
         {"logarithm", NeuronKind::logarithm},
         {"gelu", NeuronKind::gelu}}};
};

/// An activation, either attached to the operation that feeds it or standing alone.
struct Neuron {
    static constexpr OperationInfo info{"neuron", "Activation function of each element.", 1, 1, true, false,
                                        true};

    NeuronKind kind = NeuronKind::none;
    float a = 0.0f;
    float b = 0.0f;
    float c = 0.0f;

    template <class Visitor> void fields(Visitor &visit) {
        visit("kind", kind, "which function (docs/ops/neuron.md); none is x");
        visit("a", a,
              "slope for negative x (relu, relun, elu) or factor (linear, hard_sigmoid, tanh, softplus, "
              "power, exponential, logarithm)");
        visit("b", b,
              "upper limit (relun), factor of x (tanh, softplus) or offset (linear, hard_sigmoid, power, "
              "exponential, logarithm)");
        visit("c", c, "exponent (power) or base (exponential, logarithm; -1: e)");
    }

    void check(const InputShapes &inputs) const;
    Shape output_shape(const InputShapes &inputs) const { return inputs[0]; }
    WeightSpecs weights(const InputShapes &inputs) const;
    Cost cost(const InputShapes &inputs, const Shape &output) const;
};

} // namespace mpscnn::ops
