#pragma once

#include "kernels/encoding.h"

namespace mpscnn::kernels {

/// MPSCNNUpsamplingNearest, MPSCNNUpsamplingBilinear and MPSNNResizeBilinear. The first written pixel is the
/// first one of the enlarged image. Pixels outside the source have the value of the nearest one, in every
/// edge mode.
struct Resize {
    static constexpr bool reads_whole_source = true;

    ops::ResizeKind kind = ops::ResizeKind::nearest;
    bool by_factor = true; ///< true: upsampling by a factor; false: resize to a size

    std::int64_t scale_factor_x = 1, scale_factor_y = 1;
    std::int64_t resize_width = 0, resize_height = 0;
    bool align_corners = false;

    template <class Visitor> void fixed(Visitor &visit) {
        if (by_factor) {
            visit("scale_factor_x", scale_factor_x, "destination columns of a source column");
            visit("scale_factor_y", scale_factor_y, "destination rows of a source row");
        } else {
            visit("resize_width", resize_width, "columns of the result");
            visit("resize_height", resize_height, "rows of the result");
        }
        if (kind == ops::ResizeKind::bilinear)
            visit("align_corners", align_corners,
                  "whether corner pixels stay corners; otherwise pixel centres are aligned");
    }
    template <class Visitor> void fields(Visitor &) {}

    void check(const std::string &kernel) const;
    ops::WeightSpecs weights() const { return {}; }
    std::int64_t output_channels(ChannelCounts sources) const { return sources[0]; }
    ImageSize destination_size(std::span<const ImageDescriptor> sources) const;
    int build(EncodingBuilder &builder) const;
};

} // namespace mpscnn::kernels
