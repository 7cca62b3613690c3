#pragma once

#include "ops/normalization.h"

namespace mpscnn::ops {

/// Two sums for each channel over all pixels of all images. The gradients of a batch normalization need them
/// if its statistics were computed from the current batch. The first is the sum of the gradient, which is the
/// gradient of beta. The second is the sum of gradient times normalized input, which is the gradient of
/// gamma. Inputs: the gradient of the result, the input, and its statistics. The result is (1, 2, 1,
/// channels).
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

/// The gradient of a batch normalization's input, where the statistics were computed from the current batch:
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

/// The gradient of a group or instance normalization's input. Inputs: the gradient of the result, the
/// normalization's input and, unless it is 1, gamma (1, channels). With h = gradient * gamma, r = 1 /
/// sqrt(variance + epsilon) and y the normalized input, it is r * (h - mean of h - y * mean of h * y). The
/// means are over the same elements as in the normalization.
struct GroupNormalizationGradient {
    static constexpr OperationInfo info =
        training_info("group_normalization_gradient", "Gradient of a group normalization's input.", 2, 1);

    GroupNormalization normalization;

    template <class Visitor> void fields(Visitor &visit) { normalization.fields(visit); }

    void check(const InputShapes &inputs) const;
    Shape output_shape(const InputShapes &inputs) const { return inputs[1]; }
    WeightSpecs weights(const InputShapes &) const { return {}; }
    Cost cost(const InputShapes &, const Shape &output) const {
        return {3 * output.elements(), 8 * output.elements()};
    }
};

/// The gradient of a layer normalization's input. It has the formula and inputs of
/// GroupNormalizationGradient, with means over each pixel's channels.
struct LayerNormalizationGradient {
    static constexpr OperationInfo info =
        training_info("layer_normalization_gradient", "Gradient of a layer normalization's input.", 2, 1);

    LayerNormalization normalization;

    template <class Visitor> void fields(Visitor &visit) { normalization.fields(visit); }

    void check(const InputShapes &inputs) const;
    Shape output_shape(const InputShapes &inputs) const { return inputs[1]; }
    WeightSpecs weights(const InputShapes &) const { return {}; }
    Cost cost(const InputShapes &, const Shape &output) const {
        return {3 * output.elements(), 8 * output.elements()};
    }
};

/// The gradient of a cross-channel normalization's input x. With L = delta + alpha / kernel_size * sum of
/// x^2, it is g_k * L_k^-beta - 2 * alpha * beta / kernel_size * x_k * sum of g_r * x_r * L_r^(-beta - 1).
/// The sum is over the channels r whose windows contain channel k. Inputs: the gradient g of the result, and
/// x.
struct CrossChannelNormalizationGradient {
    static constexpr OperationInfo info = training_info(
        "cross_channel_normalization_gradient", "Gradient of a cross-channel normalization's input.", 2);

    CrossChannelNormalization normalization;

    template <class Visitor> void fields(Visitor &visit) { normalization.fields(visit); }

    void check(const InputShapes &inputs) const {
        normalization.check(inputs.subspan(1, 1));
        require_result(info, inputs[0], inputs[1]);
    }
    Shape output_shape(const InputShapes &inputs) const { return inputs[1]; }
    WeightSpecs weights(const InputShapes &) const { return {}; }
    Cost cost(const InputShapes &inputs, const Shape &output) const {
        return {0, 2 * normalization.cost(inputs.subspan(1, 1), output).flops};
    }
};

} // namespace mpscnn::ops
