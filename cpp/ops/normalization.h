#pragma once

#include "ops/window.h"

namespace mpscnn::ops {

/// The operation x * scale + shift for each channel. The numbers are double, so that folding them into
/// weights rounds once.
struct ScaleShift {
    std::vector<double> scale, shift;
};

/// Batch normalization (Ioffe and Szegedy 2015): gamma * (x - mean) / sqrt(variance + epsilon) + beta for
/// each channel. If mean and variance are weights and a convolution or dense layer precedes it, it is folded
/// into that layer.
struct BatchNormalization {
    static constexpr OperationInfo info{
        "batch_normalization",
        "Batch normalization with statistics that are weights or the second input.",
        1,
        2,
        true,
        true,
        true};

    float epsilon = 1e-3f;
    bool fixed = false;

    template <class Visitor> void fields(Visitor &visit) {
        visit("epsilon", epsilon, "added to the variance, above zero");
        visit("fixed", fixed, "parameters and statistics are constants that training does not change");
    }

    /// Return the batch normalization as one multiplication and one addition. All arguments have one value
    /// per channel.
    ScaleShift scale_and_shift(const std::vector<float> &mean, const std::vector<float> &variance,
                               const std::vector<float> &gamma, const std::vector<float> &beta) const;

    void check(const InputShapes &inputs) const;
    Shape output_shape(const InputShapes &inputs) const { return inputs[0]; }
    WeightSpecs weights(const InputShapes &inputs) const;
    Cost cost(const InputShapes &, const Shape &output) const {
        return {output.elements(), 2 * output.elements()};
    }
};

/// Mean and variance (divided by the number of elements) of each channel over all pixels of all images. Batch
/// normalization takes them as its second input. The result is (1, 2, 1, channels): the means, then the
/// variances.
struct BatchStatistics {
    static constexpr OperationInfo info{"batch_statistics",
                                        "Mean and variance of each channel over all images of the batch.",
                                        1,
                                        1,
                                        false,
                                        false,
                                        true,
                                        true};

    template <class Visitor> void fields(Visitor &) {}

    void check(const InputShapes &inputs) const { require_fixed_channels(info, inputs); }
    Shape output_shape(const InputShapes &inputs) const { return {1, 2, 1, inputs[0].back()}; }
    WeightSpecs weights(const InputShapes &) const { return {}; }
    Cost cost(const InputShapes &inputs, const Shape &) const {
        return {inputs[0].elements(), 4 * inputs[0].elements()};
    }
};

/// Group normalization (Wu and He 2018): gamma * (x - mean) / sqrt(variance + epsilon) + beta. The mean and
/// variance are taken over all pixels of channels / groups consecutive channels of one image. With as many
/// groups as channels it is instance normalization (Ulyanov et al. 2016).
struct GroupNormalization {
    static constexpr OperationInfo info{
        "group_normalization",
        "Normalization by the mean and variance of each image's groups of channels.",
        1,
        1,
        true,
        true,
        true};

    std::int64_t groups = 1;
    float epsilon = 1e-5f;

    template <class Visitor> void fields(Visitor &visit) {
        visit("groups", groups, "groups of consecutive channels, a divisor of the channels");
        visit("epsilon", epsilon, "added to the variance, above zero");
    }

    void check(const InputShapes &inputs) const;
    Shape output_shape(const InputShapes &inputs) const { return inputs[0]; }
    WeightSpecs weights(const InputShapes &inputs) const;
    Cost cost(const InputShapes &, const Shape &output) const {
        return {2 * output.elements(), 6 * output.elements()};
    }
};

/// Normalization over the channels of each pixel: gamma * x / norm + beta. By default the mean is subtracted
/// first and the norm is sqrt(variance + epsilon), which is layer normalization (Ba, Kiros and Hinton 2016).
/// The norm may also be the root mean square (Zhang and Sennrich 2019). Where the norm is 0, zeros stay 0.
struct LayerNormalization {
    static constexpr OperationInfo info{
        "layer_normalization",
        "Normalization of each pixel's channels by their deviation or a norm.",
        1,
        1,
        true,
        true,
        true};

    float epsilon = 1e-5f;
    VectorNorm norm = VectorNorm::deviation;
    EpsilonRule epsilon_rule = EpsilonRule::inside;

    template <class Visitor> void fields(Visitor &visit) {
        visit("epsilon", epsilon,
              "keeps the norm away from 0, as epsilon_rule says; above zero inside a deviation");
        visit("norm", norm,
              "deviation, after the mean was subtracted; root_mean_square, l2_norm or l1_norm, the sum of "
              "magnitudes");
        visit(
            "epsilon_rule", epsilon_rule,
            "inside: added to the variance, mean or sum; outside: added to the norm; minimum: the norm is at "
            "least epsilon");
    }

    void check(const InputShapes &inputs) const;
    Shape output_shape(const InputShapes &inputs) const { return inputs[0]; }
    WeightSpecs weights(const InputShapes &inputs) const;
    Cost cost(const InputShapes &, const Shape &output) const {
        return {2 * output.elements(), 6 * output.elements()};
    }
};

/// Local response normalization across channels (Krizhevsky et al. 2012): x / (delta + alpha / kernel_size *
/// sum of x^2)^beta. The sum for channel k is over the existing channels of [k - floor(kernel_size / 2), k +
/// floor((kernel_size - 1) / 2)].
struct CrossChannelNormalization {
    static constexpr OperationInfo info{"cross_channel_normalization",
                                        "Local response normalization across neighbouring channels.",
                                        1,
                                        1,
                                        true,
                                        false,
                                        true};

    std::int64_t kernel_size = 5;
    float alpha = 1.0f, beta = 5.0f, delta = 1.0f;

    template <class Visitor> void fields(Visitor &visit) {
        visit("kernel_size", kernel_size, "channels of a window, and the divisor of its sum everywhere");
        visit("alpha", alpha, "factor of the mean square, at least 0");
        visit("beta", beta, "exponent");
        visit("delta", delta, "added to the scaled mean square, at least 0");
    }

    void check(const InputShapes &inputs) const;
    Shape output_shape(const InputShapes &inputs) const { return inputs[0]; }
    WeightSpecs weights(const InputShapes &) const { return {}; }
    Cost cost(const InputShapes &inputs, const Shape &output) const;
};

/// The window of normalizations over neighbouring pixels, with stride 1. The window of output (y, x) has its
/// centre at (y + offset_y, x + offset_x) of the input. On each axis it reaches from floor(size / 2)
/// positions before the centre to floor((size - 1) / 2) after it.
struct CentredWindow {
    std::int64_t kernel_height = 5, kernel_width = 5;
    std::int64_t offset_y = 0, offset_x = 0;
    std::int64_t height = 0, width = 0;
    EdgeRule edge = EdgeRule::zero;

    template <class Visitor> void fields(Visitor &visit) {
        visit("kernel_height", kernel_height, "rows of the window");
        visit("kernel_width", kernel_width, "columns of the window");
        visit("offset_y", offset_y, "input row of the first result row's centre");
        visit("offset_x", offset_x, "input column of the first result column's centre");
        visit("height", height, "rows of the result; 0: those of the input");
        visit("width", width, "columns of the result; 0: those of the input");
        visit("edge", edge, "positions outside the image read zero or clamp (the nearest pixel)");
    }

    void check(const OperationInfo &info, const InputShapes &inputs) const;
    Shape output_shape(const InputShapes &inputs) const;
    Cost cost(const InputShapes &inputs, const Shape &output) const;
};

/// Local response normalization over neighbouring pixels: x / (delta + alpha * mean of x^2 over the
/// window)^beta for each channel. The mean always divides by kernel_height * kernel_width, also at the
/// borders.
struct SpatialNormalization {
    static constexpr OperationInfo info{"spatial_normalization",
                                        "Normalization by the mean square of a window of each channel.",
                                        1,
                                        1,
                                        true,
                                        false,
                                        true};

    CentredWindow window;
    float alpha = 1.0f, beta = 5.0f, delta = 1.0f;

    template <class Visitor> void fields(Visitor &visit) {
        window.fields(visit);
        visit("alpha", alpha, "factor of the mean square, at least 0");
        visit("beta", beta, "exponent");
        visit("delta", delta, "added to the scaled mean square, at least 0");
    }

    void check(const InputShapes &inputs) const;
    Shape output_shape(const InputShapes &inputs) const { return window.output_shape(inputs); }
    WeightSpecs weights(const InputShapes &) const { return {}; }
    Cost cost(const InputShapes &inputs, const Shape &output) const { return window.cost(inputs, output); }
};

/// Local contrast normalization: pm + ps * (x - p0 * mean) / (delta + alpha * variance)^beta. Mean and
/// variance are taken over a window of each channel. The divisor is always kernel_height * kernel_width, also
/// at the borders.
struct LocalContrastNormalization {
    static constexpr OperationInfo info{"local_contrast_normalization",
                                        "Normalization by the mean and variance of a window of each channel.",
                                        1,
                                        1,
                                        true,
                                        false,
                                        true};

    CentredWindow window;
    float alpha = 1.0f, beta = 0.5f, delta = 1.0f / 1024.0f;
    float p0 = 1.0f, pm = 0.0f, ps = 1.0f;

    template <class Visitor> void fields(Visitor &visit) {
        window.fields(visit);
        visit("alpha", alpha, "factor of the variance, at least 0");
        visit("beta", beta, "exponent");
        visit("delta", delta, "added to the scaled variance, at least 0");
        visit("p0", p0, "factor of the mean that is subtracted");
        visit("pm", pm, "added to the result");
        visit("ps", ps, "factor of the result");
    }

    void check(const InputShapes &inputs) const;
    Shape output_shape(const InputShapes &inputs) const { return window.output_shape(inputs); }
    WeightSpecs weights(const InputShapes &) const { return {}; }
    Cost cost(const InputShapes &inputs, const Shape &output) const { return window.cost(inputs, output); }
};

} // namespace mpscnn::ops
