#pragma once

// Properties that all raw kernels have, as in MPSCNNKernel and MPSCNNBinaryKernel.

#include <array>
#include <cstdint>
#include <limits>
#include <string>

#include "ops/fields.h"
#include "ops/padding_policy.h"

namespace mpscnn::kernels {

/// MPSOffset: x columns, y rows, z images.
struct Offset {
    std::int64_t x = 0, y = 0, z = 0;

    friend bool operator==(const Offset &, const Offset &) = default;
};

/// MTLRegion: the part of the destination that may be written, or the part of a reduction's source that is
/// read. It may reach beyond the image.
struct ClipRect {
    static constexpr std::int64_t unbounded = std::numeric_limits<std::int64_t>::max();

    Offset origin;
    std::int64_t width = unbounded, height = unbounded, depth = unbounded;

    friend bool operator==(const ClipRect &, const ClipRect &) = default;
};

/// MPSImageEdgeMode: the values of pixels outside an image. Kernels other than Pad support zero and clamp.
enum class EdgeMode { zero = 0, clamp = 1, mirror = 2, mirror_with_edge = 3, constant = 4 };

/// How a kernel reads one of its source images.
struct SourceProperties {
    Offset offset;
    EdgeMode edge_mode = EdgeMode::zero;
    std::int64_t feature_channel_offset = 0;
    std::int64_t feature_channel_max_count = ClipRect::unbounded;
};

struct KernelProperties {
    static constexpr std::size_t max_sources = 6;

    std::string label;
    std::array<SourceProperties, max_sources> sources;
    ClipRect clip_rect;
    std::int64_t destination_feature_channel_offset = 0;
    ops::PaddingMethod padding{.size = ops::PaddingMethod::Size::same};
    // Properties that only gradient kernels have, with the meanings of MPSCNNGradientKernel.
    std::int64_t kernel_offset_x = 0, kernel_offset_y = 0;
    /// source_gradient, or the role of a weight whose gradient is computed.
    std::string gradient_of = source_gradient;

    static constexpr const char *source_gradient = "source";
};

} // namespace mpscnn::kernels

namespace mpscnn::ops {

template <> struct EnumNames<kernels::EdgeMode> {
    static constexpr std::array<std::pair<const char *, kernels::EdgeMode>, 5> values{
        {{"zero", kernels::EdgeMode::zero},
         {"clamp", kernels::EdgeMode::clamp},
         {"mirror", kernels::EdgeMode::mirror},
         {"mirror_with_edge", kernels::EdgeMode::mirror_with_edge},
         {"constant", kernels::EdgeMode::constant}}};
};

/// JSON form: [x, y, z]
template <> struct FieldCodec<kernels::Offset> {
    static constexpr const char *type = "offset";
    static Json write(const kernels::Offset &offset);
    static kernels::Offset read(const JsonView &json);
};

/// JSON form: [x, y, z, width, height, depth], or null for the whole image.
template <> struct FieldCodec<kernels::ClipRect> {
    static constexpr const char *type = "region";
    static Json write(const kernels::ClipRect &region);
    static kernels::ClipRect read(const JsonView &json);
};

/// JSON form: the bits of MPSNNPaddingMethod.
template <> struct FieldCodec<PaddingMethod> {
    static constexpr const char *type = "padding";
    static Json write(const PaddingMethod &method) { return Json(method.bits()); }
    static PaddingMethod read(const JsonView &json) {
        return PaddingMethod::from_bits(json.get<std::uint64_t>());
    }
};

} // namespace mpscnn::ops
