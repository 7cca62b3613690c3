#pragma once

#include "kernels/encoding.h"

namespace mpscnn::kernels {

/// MPSScaleTransform: destination position = source position * scale + translation, for positions of pixel
/// edges.
struct ScaleTransform {
    double scale_x = 1.0, scale_y = 1.0, translate_x = 0.0, translate_y = 0.0;

    friend bool operator==(const ScaleTransform &, const ScaleTransform &) = default;
};

} // namespace mpscnn::kernels

namespace mpscnn::ops {

/// JSON form: [scale x, scale y, translate x, translate y], or null.
template <> struct FieldCodec<std::optional<kernels::ScaleTransform>> {
    static constexpr const char *type = "scale transform";
    static Json write(const std::optional<kernels::ScaleTransform> &transform);
    static std::optional<kernels::ScaleTransform> read(const JsonView &json);
};

} // namespace mpscnn::ops

namespace mpscnn::kernels {

/// MPSImageBilinearScale and MPSImageLanczosScale. Destination positions are counted from the first pixel
/// that is written: the top left pixel of the clip rectangle.
struct Scale {
    static constexpr bool reads_whole_source = true;
    static constexpr EdgeMode default_edge_mode = EdgeMode::clamp;

    ops::ResizeKind kind = ops::ResizeKind::bilinear;

    std::optional<ScaleTransform> scale_transform;
    std::int64_t resize_width = 0, resize_height = 0;

    template <class Visitor> void fixed(Visitor &) {}
    template <class Visitor> void fields(Visitor &visit) {
        visit("scale_transform", scale_transform,
              "(scale_x, scale_y, translate_x, translate_y) from source to destination positions; null: the "
              "whole source becomes the whole destination");
        visit("resize_width", resize_width,
              "columns of results that the kernel makes; 0: source columns * scale_x");
        visit("resize_height", resize_height,
              "rows of results that the kernel makes; 0: source rows * scale_y");
    }

    void check(const std::string &kernel) const;
    ops::WeightSpecs weights() const { return {}; }
    std::int64_t output_channels(ChannelCounts sources) const { return sources[0]; }
    ImageSize destination_size(std::span<const ImageDescriptor> sources) const;
    int build(EncodingBuilder &builder) const;
};

} // namespace mpscnn::kernels
