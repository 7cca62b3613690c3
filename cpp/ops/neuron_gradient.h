#pragma once

#include "ops/neuron.h"

namespace mpscnn::ops {

/// The gradient of an activation's input: that of its result times the derivative. Inputs: the gradient of
/// the result, then the neuron's input or, with from_result, its result, and for prelu the slopes, (1,
/// channels) or with more axes of 1 in between.
///
/// At a kink the derivative is PyTorch's: of relu, relun, elu and prelu at 0 the one below it (of elu a),
/// 0 at the limits of clamp, relun and hard_sigmoid and, of hard_swish, 0 at -3 and 1 at 3; of absolute at 0
/// it is 0.
struct NeuronGradient {
    static constexpr OperationInfo info =
        training_info("neuron_gradient", "Gradient of an activation's input.", 2, 1);

    Neuron neuron;
    bool from_result = false;

    template <class Visitor> void fields(Visitor &visit) {
        neuron.fields(visit);
        visit("from_result", from_result,
              "the second input is the neuron's result, from which the derivative must follow");
    }

    /// Whether the derivative follows from the result, so that the neuron's input need not be kept.
    static bool follows_from_result(const Neuron &neuron);

    void check(const InputShapes &inputs) const;
    Shape output_shape(const InputShapes &inputs) const { return inputs[0]; }
    WeightSpecs weights(const InputShapes &) const { return {}; }
    Cost cost(const InputShapes &, const Shape &output) const { return {0, 2 * output.elements()}; }
};

} // namespace mpscnn::ops
