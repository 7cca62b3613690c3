#pragma once

#include "ops/normalization.h"

namespace mpscnn::ops {

/// The gradient of a group or instance normalization's input. Inputs: the gradient of the result, the
/// normalization's input and, unless it is 1, gamma (1, channels). With h = gradient * gamma, r = 1 /
/// sqrt(variance + epsilon) and y the input normalized, it is r * (h - mean of h - y * mean of h * y), means
/// as those of the normalization.
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

/// The same of a layer normalization, by the statistics of each pixel's channels.
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

/// The gradient of a cross-channel normalization's input x: with L the base of its power,
/// g_k * L_k^-beta - 2 * alpha * beta / kernel_size * x_k * sum of g_r * x_r * L_r^(-beta - 1) over the
/// channels r whose windows hold k. Inputs: the gradient g of the result, and x.
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
