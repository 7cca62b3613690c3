#pragma once

#include "ops/window.h"

namespace mpscnn::ops {

/// Throws for a number of groups that does not divide the input channels and the output channels.
void require_groups(const OperationInfo &info, std::int64_t groups, std::int64_t input_channels,
                    std::int64_t output_channels);

/// Two-dimensional convolution (a correlation: the kernel is not rotated). With `groups` equal to the input
/// channels it is a depthwise convolution with channel multiplier output_channels / groups.
struct Convolution {
    static constexpr OperationInfo info{
        "convolution", "2-D convolution, grouped, depthwise or dilated.", 1, 1, true, true, true};

    std::int64_t output_channels = 0;
    Window window;
    std::int64_t groups = 1;
    bool rounds_once = false;

    template <class Visitor> void fields(Visitor &visit) {
        visit("output_channels", output_channels, "feature channels of the result");
        window.fields(visit);
        visit("groups", groups, "input and output channels are split into this many independent groups");
        visit("rounds_once", rounds_once,
              "in int8 precision: sums are scaled as in a dense layer, whose products are rounded once");
    }

    bool depthwise(const InputShapes &inputs) const { return groups > 1 && groups == inputs[0].back(); }

    void check(const InputShapes &inputs) const;
    Shape output_shape(const InputShapes &inputs) const;
    WeightSpecs weights(const InputShapes &inputs) const;
    Cost cost(const InputShapes &inputs, const Shape &output) const;
};

/// The gradient of a convolution with respect to its input. Inputs: the gradient of the result, the weight,
/// and the convolution's input, of which only the shape is used.
struct ConvolutionDataGradient {
    static constexpr OperationInfo info =
        training_info("convolution_data_gradient", "Gradient of a convolution's input.", 3);

    Convolution convolution;

    template <class Visitor> void fields(Visitor &visit) { convolution.fields(visit); }

    void check(const InputShapes &inputs) const;
    Shape output_shape(const InputShapes &inputs) const { return inputs[2]; }
    WeightSpecs weights(const InputShapes &) const { return {}; }
    Cost cost(const InputShapes &inputs, const Shape &) const;
};

/// The gradient of a convolution with respect to its weight, summed over all images. Inputs: the
/// convolution's input and the gradient of its result. On a CPU, blocks of pixels are summed in float32. Sums
/// over many pixels are divided into up to 16 parts, which are added in double. The division depends on
/// shapes only.
struct ConvolutionWeightGradient {
    static constexpr OperationInfo info =
        training_info("convolution_weight_gradient", "Gradient of a convolution's weight.", 2);

    Convolution convolution;

    template <class Visitor> void fields(Visitor &visit) { convolution.fields(visit); }

    void check(const InputShapes &inputs) const;
    Shape output_shape(const InputShapes &inputs) const;
    WeightSpecs weights(const InputShapes &) const { return {}; }
    Cost cost(const InputShapes &inputs, const Shape &) const;
};

} // namespace mpscnn::ops
