#pragma once

#include "ops/operation.h"

namespace mpscnn::ops {

/// The same elements with the axes in another order. The batch stays the first one.
struct Transpose {
    static constexpr OperationInfo info{
        "transpose", "The axes behind the batch in another order.", 1, 1, false, false, true};

    std::vector<std::int64_t> axes;

    template <class Visitor> void fields(Visitor &visit) {
        visit("axes", axes, "the input's axis for each axis of the result behind the batch, which is axis 0");
    }

    void check(const InputShapes &inputs) const;
    Shape output_shape(const InputShapes &inputs) const;
    WeightSpecs weights(const InputShapes &) const { return {}; }
    Cost cost(const InputShapes &, const Shape &) const { return {}; }
};

/// Channel k * groups + g of the result is channel g * (channels / groups) + k. Zhang et al. 2018.
struct ChannelShuffle {
    static constexpr OperationInfo info{
        "channel_shuffle", "Interleaves groups of feature channels.", 1, 1, false, false, true};

    std::int64_t groups = 1;

    template <class Visitor> void fields(Visitor &visit) {
        visit("groups", groups, "groups of consecutive channels, a divisor of the channels");
    }

    void check(const InputShapes &inputs) const;
    Shape output_shape(const InputShapes &inputs) const { return inputs[0]; }
    WeightSpecs weights(const InputShapes &) const { return {}; }
    Cost cost(const InputShapes &, const Shape &) const { return {}; }
};

} // namespace mpscnn::ops
