#pragma once

#include "ops/window.h"

namespace mpscnn::ops {

/// Refuses a number of groups that does not divide both numbers of channels.
void require_groups(const OperationInfo &info, std::int64_t groups, std::int64_t input_channels,
                    std::int64_t output_channels);

/// Two-dimensional convolution (a correlation, as everywhere in this field): with `groups` equal to the input
/// channels it is a depthwise convolution with channel multiplier output_channels / groups.
struct Convolution {
    static constexpr OperationInfo info{
        "convolution", "2-D convolution, grouped, depthwise or dilated.", 1, 1, true, true, true};

    std::int64_t output_channels = 0;
    Window window;
    std::int64_t groups = 1;

    template <class Visitor> void fields(Visitor &visit) {
        visit("output_channels", output_channels, "feature channels of the result");
        window.fields(visit);
        visit("groups", groups, "input and output channels are split into this many independent groups");
    }

    bool depthwise(const InputShapes &inputs) const { return groups > 1 && groups == inputs[0].back(); }

    void check(const InputShapes &inputs) const;
    Shape output_shape(const InputShapes &inputs) const;
    WeightSpecs weights(const InputShapes &inputs) const;
    Cost cost(const InputShapes &inputs, const Shape &output) const;
};

} // namespace mpscnn::ops
