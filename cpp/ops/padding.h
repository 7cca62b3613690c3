#pragma once

#include "ops/operation.h"

namespace mpscnn::ops {

/// A constant border around images.
struct Padding {
    static constexpr OperationInfo info{"padding", "Constant border around an image.", 1, 1, false, false,
                                        true};

    std::int64_t top = 0, bottom = 0, left = 0, right = 0, front = 0, back = 0;
    float value = 0.0f;

    template <class Visitor> void fields(Visitor &visit) {
        visit("top", top, "rows above");
        visit("bottom", bottom, "rows below");
        visit("left", left, "columns to the left");
        visit("right", right, "columns to the right");
        visit("front", front, "channels before the first");
        visit("back", back, "channels behind the last");
        visit("value", value, "what the border holds");
    }

    void check(const InputShapes &inputs) const;
    Shape output_shape(const InputShapes &inputs) const;
    WeightSpecs weights(const InputShapes &) const { return {}; }
    Cost cost(const InputShapes &, const Shape &) const { return {}; }
};

} // namespace mpscnn::ops
