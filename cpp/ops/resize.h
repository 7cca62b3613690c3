#pragma once

#include <cstdint>

#include "ops/window.h"

namespace mpscnn::ops {

/// The sampling positions along one axis: output o reads the input position (o + centre) * numerator /
/// denominator + offset. The division comes last, so that whole positions are exact.
struct ResizeAxis {
    double numerator = 1.0, denominator = 1.0, centre = 0.0, offset = 0.0;
};

/// A range of consecutive input positions.
struct LanczosSpan {
    std::int64_t first = 0, count = 0;
};

/// Return the largest number of input positions that an output of the filter adds up, on an axis of `size`
/// positions.
std::int64_t lanczos_taps(const ResizeAxis &axis, std::int64_t size);

/// Compute the weights of Lanczos' filter for one output. Return the range of input positions within 0 ..
/// size - 1 that it reads; `weights`, with room for lanczos_taps numbers, gets one weight for each. The
/// weight of input position i is L((i - position) / s), divided by the sum of all weights, with L(t) =
/// sinc(t) sinc(t / 3) for |t| < 3. s is the distance between the positions of neighbouring outputs, but at
/// least 1. With zero_outside, positions outside the input are zeros; otherwise the nearest position inside
/// gets their weights.
LanczosSpan lanczos_weights(const ResizeAxis &axis, std::int64_t size, bool zero_outside, std::int64_t output,
                            float *weights);

enum class ResizeKind {
    nearest,
    bilinear,
    lanczos ///< Lanczos' filter with three lobes, widened where the image shrinks (lanczos_weights)
};

template <> struct EnumNames<ResizeKind> {
    static constexpr std::array<std::pair<const char *, ResizeKind>, 3> values{
        {{"nearest", ResizeKind::nearest},
         {"bilinear", ResizeKind::bilinear},
         {"lanczos", ResizeKind::lanczos}}};
};

/// The input position that output pixel o samples, for each axis, with scale = input / output size.
enum class ResizeAlignment {
    half_pixel,        ///< (o + 0.5) * scale - 0.5: pixel centres, PyTorch's and TensorFlow 2's default
    corners,           ///< o * (input - 1) / (output - 1): corner pixels stay corners
    asymmetric,        ///< o * scale: TensorFlow 1's default
    pytorch_half_pixel ///< half_pixel, but 0 if the output is one pixel; ONNX has it under this name
};

template <> struct EnumNames<ResizeAlignment> {
    static constexpr std::array<std::pair<const char *, ResizeAlignment>, 4> values{
        {{"half_pixel", ResizeAlignment::half_pixel},
         {"corners", ResizeAlignment::corners},
         {"asymmetric", ResizeAlignment::asymmetric},
         {"pytorch_half_pixel", ResizeAlignment::pytorch_half_pixel}}};
};

/// Which of two pixels nearest sampling takes for a position between them.
enum class ResizeRounding {
    by_alignment,       ///< floor for asymmetric, otherwise round_prefer_ceil, as TensorFlow and PyTorch do
    floor,              ///< the lower one
    ceil,               ///< the upper one
    round_prefer_floor, ///< the nearer one; in the middle the lower one
    round_prefer_ceil   ///< the nearer one; in the middle the upper one
};

template <> struct EnumNames<ResizeRounding> {
    static constexpr std::array<std::pair<const char *, ResizeRounding>, 5> values{
        {{"by_alignment", ResizeRounding::by_alignment},
         {"floor", ResizeRounding::floor},
         {"ceil", ResizeRounding::ceil},
         {"round_prefer_floor", ResizeRounding::round_prefer_floor},
         {"round_prefer_ceil", ResizeRounding::round_prefer_ceil}}};
};

/// How nearest sampling rounds a position to a pixel: position + bias, rounded down or up.
struct NearestRule {
    double bias = 0.0;
    bool up = false;
};

/// Resizes an image by nearest or bilinear sampling without antialiasing, or by Lanczos' filter. Only this
/// file and resize.cpp define where samples lie.
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
    /// Return the rule for nearest sampling; only valid for that kind.
    NearestRule nearest_rule() const;

    void check(const InputShapes &inputs) const;
    Shape output_shape(const InputShapes &inputs) const;
    WeightSpecs weights(const InputShapes &) const { return {}; }
    Cost cost(const InputShapes &inputs, const Shape &output) const;
};

/// The gradient of a resize's input: each pixel gets the sum of weight * gradient over the outputs that read
/// it. Inputs: the gradient of the result, and the resize's input, of which only the shape is used.
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
