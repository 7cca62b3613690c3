#include "kernels/scale.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "core/text.h"

namespace mpscnn::ops {

Json FieldCodec<std::optional<kernels::ScaleTransform>>::write(
    const std::optional<kernels::ScaleTransform> &transform) {
    if (!transform) return {};
    return Json(std::vector<double>{transform->scale_x, transform->scale_y, transform->translate_x,
                                    transform->translate_y});
}

std::optional<kernels::ScaleTransform>
FieldCodec<std::optional<kernels::ScaleTransform>>::read(const JsonView &json) {
    if (json.value().is_null()) return std::nullopt;
    const auto values = json.get<std::vector<double>>();
    if (values.size() != 4)
        json.refuse(concat(
            {"must be (scale x, scale y, translate x, translate y), got ", values.size(), " numbers"}));
    return kernels::ScaleTransform{values[0], values[1], values[2], values[3]};
}

} // namespace mpscnn::ops

namespace mpscnn::kernels {

namespace {

constexpr double largest = ops::largest_size;
/// The largest factor by which Lanczos' filter may shrink an image. The number of source pixels that a result
/// adds up grows with this factor.
constexpr double max_shrinking = 256.0;

void check_axis(const std::string &kernel, bool lanczos, const char *scale_name, double scale,
                const char *translate_name, double translate) {
    const double minimum = lanczos ? 1.0 / max_shrinking : 1.0 / largest;
    if (!(scale >= minimum && scale <= largest))
        fail(ErrorKind::parameter, {kernel, ": scale_transform: ", scale_name, " must be 1/",
                                    std::llround(1.0 / minimum), " to ", ops::largest_size, ", got ", scale});
    if (!(std::abs(translate / scale) <= largest))
        fail(ErrorKind::parameter,
             {kernel, ": scale_transform: ", translate_name, " must be at most ", ops::largest_size,
              " source pixels, got ", translate, " destination pixels"});
}

/// One axis of the transform as parameters of ops::Resize. Zeros mean that the extents determine the scale,
/// which is exact if the whole destination is written.
struct ScaledAxis {
    double magnification = 0.0, offset = 0.0;
};

ScaledAxis scaled(const double *scale, double translate, std::int64_t source, std::int64_t destination,
                  std::int64_t written) {
    if (scale) return {*scale, -translate / *scale};
    if (destination == written) return {};
    return {static_cast<double>(destination) / static_cast<double>(source), 0.0};
}

} // namespace

void Scale::check(const std::string &kernel) const {
    require_range(kernel, "resize_width", resize_width, 0);
    require_range(kernel, "resize_height", resize_height, 0);
    if (!scale_transform) return;
    const bool lanczos = kind == ops::ResizeKind::lanczos;
    check_axis(kernel, lanczos, "scale x", scale_transform->scale_x, "translate x",
               scale_transform->translate_x);
    check_axis(kernel, lanczos, "scale y", scale_transform->scale_y, "translate y",
               scale_transform->translate_y);
}

ImageSize Scale::destination_size(std::span<const ImageDescriptor> sources) const {
    if (!scale_transform && (resize_width == 0 || resize_height == 0))
        fail(
            ErrorKind::parameter,
            {kind == ops::ResizeKind::lanczos ? "ImageLanczosScale" : "ImageBilinearScale",
             ": needs a destination, resize_width and resize_height, or a scale_transform: nothing else says "
             "how large the result is"});
    const auto size = [](std::int64_t stated, std::int64_t extent, double scale) {
        if (stated != 0) return stated;
        const double product = std::round(static_cast<double>(extent) * scale);
        return static_cast<std::int64_t>(std::clamp(product, 1.0, largest));
    };
    const ScaleTransform transform = scale_transform.value_or(ScaleTransform{});
    return {size(resize_width, sources[0].width, transform.scale_x),
            size(resize_height, sources[0].height, transform.scale_y)};
}

int Scale::build(EncodingBuilder &builder) const {
    builder.require_no_offset("scale_transform says which part of the source is read");
    const ImageDescriptor &image = builder.image();
    const ImageSize all = builder.destination_size();
    const ScaleTransform *given = scale_transform ? &*scale_transform : nullptr;
    const ScaledAxis columns = scaled(given ? &given->scale_x : nullptr, given ? given->translate_x : 0.0,
                                      image.width, all.width, builder.width());
    const ScaledAxis rows = scaled(given ? &given->scale_y : nullptr, given ? given->translate_y : 0.0,
                                   image.height, all.height, builder.height());
    ops::Resize resize;
    resize.kind = kind;
    resize.width = builder.width();
    resize.height = builder.height();
    resize.magnification_x = columns.magnification;
    resize.magnification_y = rows.magnification;
    resize.offset_x = columns.offset;
    resize.offset_y = rows.offset;
    resize.edge = builder.properties().sources[0].edge_mode == EdgeMode::clamp ? ops::EdgeRule::clamp
                                                                               : ops::EdgeRule::zero;
    const int source = builder.whole();
    return builder.add(resize, {source});
}

} // namespace mpscnn::kernels
