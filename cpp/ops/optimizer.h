#pragma once

#include "ops/operation.h"

namespace mpscnn::ops {

// Operations that compute new weights, with the formulas of MPSNNOptimizers. Their tensors have the weights'
// shape. An input `rates` is (1, 2): the learning rate, and the step size. The step size equals the learning
// rate, except for Adam, whose step size includes the correction of its moments.

enum class Regularization { none, l1, l2 };

template <> struct EnumNames<Regularization> {
    static constexpr std::array<std::pair<const char *, Regularization>, 3> values{
        {{"none", Regularization::none}, {"l1", Regularization::l1}, {"l2", Regularization::l2}}};
};

/// Prepares a gradient for an optimiser: clip it to [minimum, maximum], multiply it by rescale, and add the
/// gradient of the regularization, scale * weight (l2) or scale * sign of the weight (l1). Inputs: the
/// gradient, the weights and, optionally, a factor of the gradient, (1, 1), which is applied first.
struct OptimizerGradient {
    static constexpr OperationInfo info =
        training_info("optimizer_gradient", "A gradient clipped, rescaled and regularized.", 2, 1);

    bool clip = false;
    float minimum = -1.0f, maximum = 1.0f;
    float rescale = 1.0f;
    Regularization regularization = Regularization::none;
    float regularization_scale = 0.0f;

    template <class Visitor> void fields(Visitor &visit) {
        visit("clip", clip, "whether the gradient is limited before it is rescaled");
        visit("minimum", minimum, "lower limit");
        visit("maximum", maximum, "upper limit");
        visit("rescale", rescale, "factor of the gradient");
        visit("regularization", regularization, "none, l1 or l2");
        visit("regularization_scale", regularization_scale, "factor of the regularization, at least 0");
    }

    void check(const InputShapes &inputs) const;
    Shape output_shape(const InputShapes &inputs) const { return inputs[1]; }
    WeightSpecs weights(const InputShapes &) const { return {}; }
    Cost cost(const InputShapes &, const Shape &output) const { return {0, 4 * output.elements()}; }
};

/// Moving average: rate * average + (1 - rate) * x, or with x * x in place of x. It computes moments of
/// gradients, statistics of batches and averages of weights. Inputs: the average and x.
struct MovingAverage {
    static constexpr OperationInfo info =
        training_info("moving_average", "A moving average of tensors or of their squares.", 2);

    double rate = 0.9; ///< in double, because 1 - rate would have few digits for a float near 1
    bool squares = false;

    template <class Visitor> void fields(Visitor &visit) {
        visit("rate", rate, "share of the average that is kept, 0 to 1");
        visit("squares", squares, "whether x * x is averaged");
    }

    void check(const InputShapes &inputs) const;
    Shape output_shape(const InputShapes &inputs) const { return inputs[0]; }
    WeightSpecs weights(const InputShapes &) const { return {}; }
    Cost cost(const InputShapes &, const Shape &output) const { return {0, 3 * output.elements()}; }
};

/// The moment of stochastic gradient descent: momentum * moment + learning rate * gradient, or with Nesterov
/// momentum * moment + gradient. Inputs: the moment, the gradient and the rates.
struct MomentumUpdate {
    static constexpr OperationInfo info =
        training_info("momentum_update", "The moment of stochastic gradient descent.", 3);

    float momentum = 0.9f;
    bool nesterov = false;

    template <class Visitor> void fields(Visitor &visit) {
        visit("momentum", momentum, "share of the moment that is kept, 0 to 1");
        visit("nesterov", nesterov,
              "whether the learning rate is applied to the weights instead of the moment");
    }

    void check(const InputShapes &inputs) const;
    Shape output_shape(const InputShapes &inputs) const { return inputs[0]; }
    WeightSpecs weights(const InputShapes &) const { return {}; }
    Cost cost(const InputShapes &, const Shape &output) const { return {0, 3 * output.elements()}; }
};

/// New weights by stochastic gradient descent. Inputs: the weights, the gradient, the rates and, optionally,
/// the moment. Without a moment it is weight - learning rate * gradient. With a moment it is weight - moment,
/// or with Nesterov weight - learning rate * (gradient + momentum * moment). Decoupled weight decay comes
/// first: weight * (1 - learning rate * decay).
struct SgdUpdate {
    static constexpr OperationInfo info =
        training_info("sgd_update", "New weights by stochastic gradient descent.", 3, 1);

    float momentum = 0.9f;
    bool nesterov = false;
    float weight_decay = 0.0f;

    template <class Visitor> void fields(Visitor &visit) {
        visit("momentum", momentum, "factor of Nesterov's moment, 0 to 1");
        visit("nesterov", nesterov, "whether the moment is Nesterov's");
        visit("weight_decay", weight_decay,
              "share of the weights that is subtracted, times the learning rate");
    }

    void check(const InputShapes &inputs) const;
    Shape output_shape(const InputShapes &inputs) const { return inputs[0]; }
    WeightSpecs weights(const InputShapes &) const { return {}; }
    Cost cost(const InputShapes &, const Shape &output) const { return {0, 4 * output.elements()}; }
};

/// New weights by RMSProp or Adam: weight * (1 - learning rate * decay) - step * first / (sqrt(second) +
/// epsilon). Inputs: the weights, first (the gradient, or its average), second (the average of its squares,
/// or the largest of these so far) and the rates. Hinton 2012; Kingma and Ba 2015; Loshchilov and Hutter
/// 2019.
struct AdaptiveUpdate {
    static constexpr OperationInfo info =
        training_info("adaptive_update", "New weights by RMSProp or Adam.", 4);

    float epsilon = 1e-8f;
    float weight_decay = 0.0f;

    template <class Visitor> void fields(Visitor &visit) {
        visit("epsilon", epsilon, "added to the root, at least 0");
        visit("weight_decay", weight_decay,
              "share of the weights that is subtracted, times the learning rate");
    }

    void check(const InputShapes &inputs) const;
    Shape output_shape(const InputShapes &inputs) const { return inputs[0]; }
    WeightSpecs weights(const InputShapes &) const { return {}; }
    Cost cost(const InputShapes &, const Shape &output) const { return {0, 6 * output.elements()}; }
};

/// The sum of the squares of all elements, (1, 1), for the norm of all gradients. On a CPU, blocks are summed
/// in float32, and their sums in double. The result is not finite if an element is not, or if the sum exceeds
/// float32.
struct SquaredSum {
    static constexpr OperationInfo info =
        training_info("squared_sum", "Sum of the squares of all elements.", 1);

    template <class Visitor> void fields(Visitor &) {}

    void check(const InputShapes &inputs) const { require_image_or_less(info, inputs[0]); }
    Shape output_shape(const InputShapes &) const { return {1, 1}; }
    WeightSpecs weights(const InputShapes &) const { return {}; }
    Cost cost(const InputShapes &inputs, const Shape &) const { return {inputs[0].elements(), 0}; }
};

} // namespace mpscnn::ops
