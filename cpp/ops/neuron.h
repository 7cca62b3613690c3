#pragma once

#include "ops/operation.h"
#include "shaders/neuron_kind.h"

namespace mpscnn::ops {

using ::NeuronKind;

template <> struct EnumNames<NeuronKind> {
#define MPSCNN_NEURON(NAME) std::pair(#NAME, NeuronKind::NAME),
    static constexpr auto values =
        std::to_array<std::pair<const char *, NeuronKind>>({FOR_EACH_NEURON(MPSCNN_NEURON)});
#undef MPSCNN_NEURON
};

/// An activation function. It is a separate layer, or attached to the operation that feeds it.
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
              "slope for negative x (relu, relun, elu), factor (linear, hard_sigmoid, tanh, softplus, power, "
              "exponential, logarithm) or lower limit (clamp; the lowest float: none)");
        visit("b", b,
              "upper limit (relun, clamp; of clamp the largest float: none), factor of x (tanh, softplus, "
              "swish) or offset (linear, hard_sigmoid, power, exponential, logarithm)");
        visit("c", c, "exponent (power) or base (exponential, logarithm; -1: e)");
    }

    void check(const InputShapes &inputs) const;
    Shape output_shape(const InputShapes &inputs) const { return inputs[0]; }
    WeightSpecs weights(const InputShapes &inputs) const;
    Cost cost(const InputShapes &inputs, const Shape &output) const;

    /// Return a limit of clamp, infinite if it has none.
    float lower_limit() const;
    float upper_limit() const;
};

/// The gradient of an activation's input: the gradient of its result times the derivative. Inputs: the
/// gradient of the result, then the neuron's input or, with from_result, its result. A prelu has the slopes
/// as a further input, (1, channels) or with more axes of 1 in between.
///
/// Where a function has a kink, the derivative is PyTorch's. At 0, relu, relun, elu and prelu have the
/// derivative of the side of negative numbers (a for elu). At the limits of clamp, relun and hard_sigmoid it
/// is 0. For hard_swish it is 0 at -3 and 1 at 3, and for absolute it is 0 at 0.
struct NeuronGradient {
    static constexpr OperationInfo info =
        training_info("neuron_gradient", "Gradient of an activation's input.", 2, 1);

    Neuron neuron;
    bool from_result = false;

    template <class Visitor> void fields(Visitor &visit) {
        neuron.fields(visit);
        visit("from_result", from_result,
              "the second input is the neuron's result, and the derivative is computed from it");
    }

    /// Return whether the derivative can be computed from the result, so that the neuron's input need not be
    /// kept.
    static bool follows_from_result(const Neuron &neuron);

    void check(const InputShapes &inputs) const;
    Shape output_shape(const InputShapes &inputs) const { return inputs[0]; }
    WeightSpecs weights(const InputShapes &) const { return {}; }
    Cost cost(const InputShapes &, const Shape &output) const { return {0, 2 * output.elements()}; }
};

} // namespace mpscnn::ops
