#pragma once

#include <cstdint>

#include "ops/window.h"

namespace mpscnn::ops {

/// Sampling positions of one axis: output o reads input position (o + centre) * numerator / denominator +
/// offset. The quotient is formed last, so that whole positions are met exactly.
struct ResizeAxis {
    double numerator = 1.0, denominator = 1.0, centre = 0.0, offset = 0.0;
};

/// Positions side by side.
struct LanczosSpan {
    std::int64_t first = 0, count = 0;
};

/// The most positions of `size` that an output adds up.
std::int64_t lanczos_taps(const ResizeAxis &axis, std::int64_t size);

/// The positions within 0 .. size - 1 that an output adds up, and `count` weights: of input position i
/// L((i - position) / s), divided by the sum of all, with L(t) = sinc(t) sinc(t / 3) for |t| < 3 and s input
/// positions from one output to the next, at least 1. The weights of positions outside belong to the nearest
/// one inside, or to none where these read zeros. `weights` has room for lanczos_taps.
LanczosSpan lanczos_weights(const ResizeAxis &axis, std::int64_t size, bool zero_outside, std::int64_t output,
                            float *weights);

enum class ResizeKind {
    nearest,
    bilinear,
    lanczos ///< with three lobes, widened where the image shrinks (lanczos_weights)
};

template <> struct EnumNames<ResizeKind> {
    static constexpr std::array<std::pair<const char *, ResizeKind>, 3> values{
        {{"nearest", ResizeKind::nearest},
         {"bilinear", ResizeKind::bilinear},
         {"lanczos", ResizeKind::lanczos}}};
};

/// Where output pixel o samples the input, per axis, with scale = input / output size.
enum class ResizeAlignment {
    half_pixel,        ///< (o + 0.5) * scale - 0.5: pixel centres, PyTorch's and TensorFlow 2's default
    corners,           ///< o * (input - 1) / (output - 1): corner pixels stay corners
    asymmetric,        ///< o * scale: TensorFlow 1's default
    pytorch_half_pixel ///< half_pixel, but 0 where the output is one pixel: ONNX knows it by this name
};

template <> struct EnumNames<ResizeAlignment> {
    static constexpr std::array<std::pair<const char *, ResizeAlignment>, 4> values{
        {{"half_pixel", ResizeAlignment::half_pixel},
         {"corners", ResizeAlignment::corners},
         {"asymmetric", ResizeAlignment::asymmetric},
         {"pytorch_half_pixel", ResizeAlignment::pytorch_half_pixel}}};
};

/// Which pixel nearest sampling takes for a position between two.
enum class ResizeRounding {
    by_alignment,       ///< floor for asymmetric, else round_prefer_ceil: what TensorFlow and PyTorch do
    floor,              ///< the lower one
    ceil,               ///< the upper one
    round_prefer_floor, ///< the nearer one, in the middle the lower one
    round_prefer_ceil   ///< the nearer one, in the middle the upper one
};

template <> struct EnumNames<ResizeRounding> {
    static constexpr std::array<std::pair<const char *, ResizeRounding>, 5> values{
        {{"by_alignment", ResizeRounding::by_alignment},
         {"floor", ResizeRounding::floor},
         {"ceil", ResizeRounding::ceil},
         {"round_prefer_floor", ResizeRounding::round_prefer_floor},
         {"round_prefer_ceil", ResizeRounding::round_prefer_ceil}}};
};

/// The pixel that nearest sampling takes: position + bias, rounded down or up.
struct NearestRule {
    double bias = 0.0;
    bool up = false;
};

/// Image of another size by nearest or bilinear sampling, without antialiasing, or by Lanczos' filter. This
/// is the one place that knows where samples lie.
struct Resize {
    static constexpr OperationInfo info{
        "resize", "Nearest, bilinear or Lanczos resize of an image.", 1, 1, true, false, true};

    ResizeKind kind = ResizeKind::bilinear;
    ResizeAlignment alignment = ResizeAlignment::half_pixel;
    std::int64_t height = 0, width = 0;
    double scale_y = 1.0, scale_x = 1.0;
    double magnification_y = 0.0, magnification_x = 0.0;
    double offset_y = 0.0, offset_x = 0.0;
    EdgeRule edge = EdgeRule::clamp;
    ResizeRounding rounding = ResizeRounding::by_alignment;

    template <class Visitor> void fields(Visitor &visit) {
        visit("kind", kind, "nearest, bilinear or lanczos");
        visit("alignment", alignment,
              "half_pixel, corners, asymmetric or pytorch_half_pixel (docs/ops/resize.md)");
        visit("height", height, "rows of the result; 0: input rows * scale_y, rounded down");
        visit("width", width, "columns of the result; 0: input columns * scale_x, rounded down");
        visit("scale_y", scale_y, "vertical factor where height is 0");
        visit("scale_x", scale_x, "horizontal factor where width is 0");
        visit(
            "magnification_y", magnification_y,
            "output rows for each input row; 0: scale_y, or output rows / input rows where height is given");
        visit("magnification_x", magnification_x,
              "output columns for each input column; 0: scale_x, or the quotient where width is given");
        visit("offset_y", offset_y, "input rows added to every sampling position");
        visit("offset_x", offset_x, "input columns added to every sampling position");
        visit("edge", edge, "samples outside the image read clamp (the nearest pixel) or zero");
        visit("rounding", rounding, "nearest: which pixel is taken for a position between two");
    }

    ResizeAxis vertical(std::int64_t input, std::int64_t output) const;
    ResizeAxis horizontal(std::int64_t input, std::int64_t output) const;
    /// Nearest only.
    NearestRule nearest_rule() const;

    void check(const InputShapes &inputs) const;
    Shape output_shape(const InputShapes &inputs) const;
    WeightSpecs weights(const InputShapes &) const { return {}; }
    Cost cost(const InputShapes &inputs, const Shape &output) const;
};

/// The gradient of a resize's input: each pixel gets the gradients of the results that are sampled from it,
/// times their weights. Inputs: the gradient of the result, and the resize's input, of which only the shape
/// counts.
struct ResizeGradient {
    static constexpr OperationInfo info =
        training_info("resize_gradient", "Gradient of a resize's input.", 2);

    Resize resize;

    template <class Visitor> void fields(Visitor &visit) { resize.fields(visit); }

    void check(const InputShapes &inputs) const {
        const InputShapes input = inputs.subspan(1, 1);
        resize.check(input);
        if (resize.kind == ResizeKind::lanczos)
            refuse_parameter(info, "kind", "nearest or bilinear", name_of(resize.kind));
        require_result(info, inputs[0], resize.output_shape(input));
    }
    Shape output_shape(const InputShapes &inputs) const { return inputs[1]; }
    WeightSpecs weights(const InputShapes &) const { return {}; }
    Cost cost(const InputShapes &inputs, const Shape &) const {
        return resize.cost(inputs.subspan(1, 1), inputs[0]);
    }
};

} // namespace mpscnn::ops
