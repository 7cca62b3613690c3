#pragma once

#include "ops/operation.h"

namespace mpscnn::ops {

/// x * scale + shift for each channel; in double, so that whoever folds it into weights rounds once.
struct ScaleShift {
    std::vector<double> scale, shift;
};

/// Batch normalization with given statistics: gamma * (x - mean) / sqrt(variance + epsilon) + beta per
/// channel. Ioffe and Szegedy 2015. Folded into the convolution or dense layer before it wherever there is
/// one.
struct BatchNormalization {
    static constexpr OperationInfo info{
        "batch_normalization", "Batch normalization with given statistics.", 1, 1, true, true, true};

    float epsilon = 1e-3f;

    template <class Visitor> void fields(Visitor &visit) {
        visit("epsilon", epsilon, "added to the variance, above zero");
    }

    /// The same as one multiplication and one addition. All arguments have one value per channel.
    ScaleShift scale_and_shift(const std::vector<float> &mean, const std::vector<float> &variance,
                               const std::vector<float> &gamma, const std::vector<float> &beta) const;

    void check(const InputShapes &inputs) const;
    Shape output_shape(const InputShapes &inputs) const { return inputs[0]; }
    WeightSpecs weights(const InputShapes &inputs) const;
    Cost cost(const InputShapes &, const Shape &output) const {
        return {output.elements(), 2 * output.elements()};
    }
};

} // namespace mpscnn::ops
