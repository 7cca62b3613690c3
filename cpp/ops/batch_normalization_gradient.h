#pragma once

#include "ops/normalization.h"

namespace mpscnn::ops {

/// Sums over all pixels of all images that the gradients of a batch normalization by the statistics of its
/// own batch need, for each channel: of the gradient, which is that of beta, and of the gradient times the
/// normalized input, which is that of gamma. (1, 2, 1, channels). Inputs: the gradient of the result, the
/// input, and its statistics.
struct BatchNormalizationSums {
    static constexpr OperationInfo info =
        training_info("batch_normalization_sums", "Gradients of a batch normalization's beta and gamma.", 3);

    float epsilon = 1e-3f;

    template <class Visitor> void fields(Visitor &visit) {
        visit("epsilon", epsilon, "added to the variance, above zero");
    }

    void check(const InputShapes &inputs) const;
    Shape output_shape(const InputShapes &inputs) const { return {1, 2, 1, inputs[0].back()}; }
    WeightSpecs weights(const InputShapes &) const { return {}; }
    Cost cost(const InputShapes &inputs, const Shape &) const {
        return {inputs[0].elements(), 4 * inputs[0].elements()};
    }
};

/// The gradient of the input of a batch normalization by the statistics of its own batch:
/// gamma / sqrt(variance + epsilon) * (gradient - mean of gradients - normalized input * mean of gradients
/// times normalized inputs). Inputs: the gradient of the result, the input, its statistics, the sums of
/// batch_normalization_sums and, unless it is 1, gamma (1, channels).
struct BatchNormalizationGradient {
    static constexpr OperationInfo info =
        training_info("batch_normalization_gradient", "Gradient of a batch normalization's input.", 4, 1);

    float epsilon = 1e-3f;

    template <class Visitor> void fields(Visitor &visit) {
        visit("epsilon", epsilon, "added to the variance, above zero");
    }

    void check(const InputShapes &inputs) const;
    Shape output_shape(const InputShapes &inputs) const { return inputs[0]; }
    WeightSpecs weights(const InputShapes &) const { return {}; }
    Cost cost(const InputShapes &, const Shape &output) const {
        return {2 * output.elements(), 4 * output.elements()};
    }
};

} // namespace mpscnn::ops
