#pragma once

#include "ops/window.h"

namespace mpscnn::ops {

/// Maximum, mean or Euclidean norm of a window of each channel. The edge mode decides about taps outside the
/// image. `exclude` ignores them, as frameworks do, and refuses windows that consist of padding only. `zero`
/// counts them as zeros, so an average always divides by the number of all taps. `clamp` is Apple's: maxima
/// and norms read the nearest pixel; averages are as with `exclude`, but 0 where a window covers no pixel.
struct Pooling {
    static constexpr OperationInfo info{
        "pooling", "Max, average or L2-norm pooling over a window or the whole image.", 1, 1, true, false,
        true};

    PoolingKind kind = PoolingKind::max;
    Window window;
    bool count_padding = false;
    bool global = false;
    EdgeRule edge = EdgeRule::exclude;
    std::int64_t zero_pad_y = 0, zero_pad_x = 0;

    template <class Visitor> void fields(Visitor &visit) {
        visit("kind", kind, "max, average or l2_norm (square root of the sum of squares)");
        window.fields(visit);
        visit("count_padding", count_padding,
              "average: zero padding counts in the divisor (a ceil_mode overhang never does)");
        visit("global", global, "the window is the whole image, the result 1 x 1");
        visit("edge", edge,
              "taps outside the image: exclude (they do not count, as in frameworks), zero, or clamp "
              "(Apple's)");
        visit("zero_pad_y", zero_pad_y,
              "average: zeros above and below the image that count in the divisor, whatever the padding is");
        visit(
            "zero_pad_x", zero_pad_x,
            "average: zeros left and right of the image that count in the divisor, whatever the padding is");
    }

    /// Return the window for an input of this size; it covers the whole image if the pooling is global.
    CanonicalWindow canonical(std::int64_t height, std::int64_t width) const;

    void check(const InputShapes &inputs) const;
    Shape output_shape(const InputShapes &inputs) const;
    WeightSpecs weights(const InputShapes &) const { return {}; }
    Cost cost(const InputShapes &inputs, const Shape &output) const;

private:
    void check_divisor() const;
};

/// The gradient of a pooling's input. Inputs: the gradient of the result, the pooling's input and its result;
/// for an average only the input's shape is used.
///
/// max: the first of a window's equal elements, row by row, takes the whole gradient, as in PyTorch (MPS does
/// not specify this). With edge zero, no element takes it if a zero outside equals the maximum. average: each
/// element that a window reads takes an equal part. l2_norm: gradient * element / result, and 0 where the
/// result is 0.
struct PoolingGradient {
    static constexpr OperationInfo info =
        training_info("pooling_gradient", "Gradient of a pooling's input.", 3);

    Pooling pooling;

    template <class Visitor> void fields(Visitor &visit) { pooling.fields(visit); }

    void check(const InputShapes &inputs) const;
    Shape output_shape(const InputShapes &inputs) const { return inputs[1]; }
    WeightSpecs weights(const InputShapes &) const { return {}; }
    Cost cost(const InputShapes &inputs, const Shape &) const {
        return pooling.cost(inputs.subspan(1, 1), inputs[0]);
    }
};

} // namespace mpscnn::ops
