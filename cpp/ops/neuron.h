#pragma once

#include "ops/operation.h"

namespace mpscnn::ops {

/// Activation functions, with Apple's names and numbering (MPSCNNNeuronType) and the meaning of a, b and c
/// there.
enum class NeuronKind {
    none = 0,   ///< x
    relu = 1,   ///< x >= 0 ? x : a * x
    linear = 2, ///< a * x + b
    prelu = 10, ///< x >= 0 ? x : slope[channel] * x
    relun = 11, ///< min(x >= 0 ? x : a * x, b); ReLU6 is a = 0, b = 6
};

template <> struct EnumNames<NeuronKind> {
    static constexpr std::array<std::pair<const char *, NeuronKind>, 5> values{
        {{"none", NeuronKind::none},
         {"relu", NeuronKind::relu},
         {"linear", NeuronKind::linear},
         {"prelu", NeuronKind::prelu},
         {"relun", NeuronKind::relun}}};
};

/// An activation, either attached to the operation that feeds it or standing alone.
struct Neuron {
    static constexpr OperationInfo info{"neuron", "Activation function of each element.", 1, 1, true, false,
                                        true};

    NeuronKind kind = NeuronKind::none;
    float a = 0.0f;
    float b = 0.0f;

    template <class Visitor> void fields(Visitor &visit) {
        visit("kind", kind, "which function: none, relu, linear, prelu, relun");
        visit("a", a, "slope for negative x (relu, relun) or factor (linear)");
        visit("b", b, "upper limit (relun) or offset (linear)");
    }

    void check(const InputShapes &inputs) const;
    Shape output_shape(const InputShapes &inputs) const { return inputs[0]; }
    WeightSpecs weights(const InputShapes &inputs) const;
    Cost cost(const InputShapes &inputs, const Shape &output) const;
};

} // namespace mpscnn::ops
