#pragma once

#include "ops/window.h"

namespace mpscnn::ops {

enum class ResizeKind { nearest, bilinear };

template <> struct EnumNames<ResizeKind> {
    static constexpr std::array<std::pair<const char *, ResizeKind>, 2> values{
        {{"nearest", ResizeKind::nearest}, {"bilinear", ResizeKind::bilinear}}};
};

/// Where output pixel o samples the input, per axis, with scale = input / output size.
enum class ResizeAlignment {
    half_pixel, ///< (o + 0.5) * scale - 0.5: pixel centres, PyTorch's and TensorFlow 2's default
    corners,    ///< o * (input - 1) / (output - 1): corner pixels stay corners
    asymmetric  ///< o * scale: TensorFlow 1's default
};

template <> struct EnumNames<ResizeAlignment> {
    static constexpr std::array<std::pair<const char *, ResizeAlignment>, 3> values{
        {{"half_pixel", ResizeAlignment::half_pixel},
         {"corners", ResizeAlignment::corners},
         {"asymmetric", ResizeAlignment::asymmetric}}};
};

/// Sampling positions of one axis: output o reads input position (o + centre) * numerator / denominator +
/// offset. The quotient is formed last, so that whole positions are met exactly.
struct ResizeAxis {
    double numerator = 1.0, denominator = 1.0, centre = 0.0, offset = 0.0;
};

/// Image of another size by nearest or bilinear sampling, without antialiasing. This is the one place that
/// knows where samples lie.
struct Resize {
    static constexpr OperationInfo info{
        "resize", "Nearest or bilinear resize of an image.", 1, 1, true, false, true};

    ResizeKind kind = ResizeKind::bilinear;
    ResizeAlignment alignment = ResizeAlignment::half_pixel;
    std::int64_t height = 0, width = 0;
    double scale_y = 1.0, scale_x = 1.0;
    double magnification_y = 0.0, magnification_x = 0.0;
    double offset_y = 0.0, offset_x = 0.0;
    EdgeRule edge = EdgeRule::clamp;

    template <class Visitor> void fields(Visitor &visit) {
        visit("kind", kind, "nearest or bilinear");
        visit("alignment", alignment, "half_pixel, corners or asymmetric");
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
    }

    ResizeAxis vertical(std::int64_t input, std::int64_t output) const;
    ResizeAxis horizontal(std::int64_t input, std::int64_t output) const;
    /// What is added to a position before it is cut to an index: nearest only. TensorFlow and PyTorch cut the
    /// position o * scale; centred samples are cut at (o + 0.5) * scale and aligned corners rounded half up.
    double nearest_bias() const { return alignment == ResizeAlignment::asymmetric ? 0.0 : 0.5; }

    void check(const InputShapes &inputs) const;
    Shape output_shape(const InputShapes &inputs) const;
    WeightSpecs weights(const InputShapes &) const { return {}; }
    Cost cost(const InputShapes &, const Shape &output) const;
};

} // namespace mpscnn::ops
