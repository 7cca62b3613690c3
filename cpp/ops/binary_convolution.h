#pragma once

#include "ops/window.h"

namespace mpscnn::ops {

/// Convolution with weights of one bit, their signs: y = activation(sum * scale * beta + bias). Pixels
/// outside the image are zeros, which take part like pixels inside.
struct BinaryConvolution {
    static constexpr OperationInfo info{"binary_convolution",
                                        "2-D convolution with weights, and mostly inputs, of one bit.",
                                        1,
                                        1,
                                        true,
                                        true,
                                        false};

    std::int64_t output_channels = 0;
    Window window;
    BinaryKind kind = BinaryKind::xnor;
    bool beta_scaling = false;

    template <class Visitor> void fields(Visitor &visit) {
        visit("output_channels", output_channels, "feature channels of the result");
        window.fields(visit);
        visit("kind", kind, "binary_weights (real inputs), xnor (signs of inputs) or and (bits of inputs)");
        visit("beta_scaling", beta_scaling, "multiply by the mean of |x| over the window and its channels");
    }

    void check(const InputShapes &inputs) const;
    Shape output_shape(const InputShapes &inputs) const;
    WeightSpecs weights(const InputShapes &inputs) const;
    Cost cost(const InputShapes &inputs, const Shape &output) const;
};

/// A binary convolution whose window is the whole image.
struct BinaryFullyConnected {
    static constexpr OperationInfo info{"binary_fully_connected",
                                        "Fully connected layer with weights, and mostly inputs, of one bit.",
                                        1,
                                        1,
                                        true,
                                        true,
                                        false};

    std::int64_t outputs = 0;
    BinaryKind kind = BinaryKind::xnor;
    bool beta_scaling = false;

    template <class Visitor> void fields(Visitor &visit) {
        visit("outputs", outputs, "features of the result");
        visit("kind", kind, "binary_weights (real inputs), xnor (signs of inputs) or and (bits of inputs)");
        visit("beta_scaling", beta_scaling, "multiply by the mean of |x| over all inputs");
    }

    void check(const InputShapes &inputs) const;
    Shape output_shape(const InputShapes &inputs) const;
    WeightSpecs weights(const InputShapes &inputs) const;
    Cost cost(const InputShapes &inputs, const Shape &output) const;
};

} // namespace mpscnn::ops
