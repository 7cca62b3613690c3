#pragma once

#include "ops/kinds.h"

namespace mpscnn::ops {

/// A border around images and channels, of any width: reflections repeat. Negative amounts crop.
struct Padding {
    static constexpr OperationInfo info{
        "padding", "Border around an image: constant, clamped or mirrored.", 1, 1, false, false, true};

    std::int64_t top = 0, bottom = 0, left = 0, right = 0, front = 0, back = 0;
    float value = 0.0f;
    PaddingMode mode = PaddingMode::constant_;
    std::vector<double> values{};

    template <class Visitor> void fields(Visitor &visit) {
        visit("top", top, "rows above, negative: cropped");
        visit("bottom", bottom, "rows below, negative: cropped");
        visit("left", left, "columns to the left, negative: cropped");
        visit("right", right, "columns to the right, negative: cropped");
        visit("front", front, "channels before the first, negative: cropped");
        visit("back", back, "channels after the last, negative: cropped");
        visit("value", value, "what the border holds, constant mode");
        visit("mode", mode,
              "constant, clamp (nearest pixel), mirror (border pixel once), mirror_with_edge (twice)");
        visit("values", values, "instead of value: one for each channel of the result, constant mode");
    }

    void check(const InputShapes &inputs) const;
    Shape output_shape(const InputShapes &inputs) const;
    WeightSpecs weights(const InputShapes &) const { return {}; }
    Cost cost(const InputShapes &, const Shape &) const { return {}; }

private:
    void check_values(const InputShapes &inputs) const;
};

} // namespace mpscnn::ops
