#include "kernels/reduction.h"

#include <algorithm>

#include "core/text.h"

namespace mpscnn::kernels {

namespace {

ImageSize clipped(const ImageDescriptor &image, const ClipRect &clip) {
    const auto inside = [](std::int64_t begin, std::int64_t size, std::int64_t extent) {
        return begin < 0 ? 0 : std::min(size, extent - std::min(begin, extent));
    };
    return {inside(clip.origin.x, clip.width, image.width), inside(clip.origin.y, clip.height, image.height)};
}

constexpr const char *written_whole = "the result is written whole";
constexpr const char *by_clip_rect = "clip_rect_source says what is reduced";

} // namespace

ImageSize Reduction::destination_size(std::span<const ImageDescriptor> sources) const {
    ImageSize size = clipped(sources[0], clip_rect_source);
    if (axis == ops::ReductionAxis::width) size.width = 1;
    if (axis == ops::ReductionAxis::height) size.height = 1;
    return size;
}

int Reduction::build(EncodingBuilder &builder) const {
    builder.require_no_offset(by_clip_rect);
    ImageSize size{};
    const int source = builder.part(clip_rect_source, size);
    if (axis == ops::ReductionAxis::width) size.width = 1;
    if (axis == ops::ReductionAxis::height) size.height = 1;
    builder.require_written(size, written_whole);
    ops::Reduction reduction;
    reduction.kind = kind;
    reduction.axis = axis;
    reduction.weight = weight;
    return builder.add(reduction, {source});
}

ImageSize ArgumentReduction::destination_size(std::span<const ImageDescriptor> sources) const {
    return clipped(sources[0], clip_rect_source);
}

int ArgumentReduction::build(EncodingBuilder &builder) const {
    builder.require_no_offset(by_clip_rect);
    ImageSize size{};
    const int source = builder.part(clip_rect_source, size);
    builder.require_written(size, written_whole);
    ops::Argument argument;
    argument.kind = kind;
    return builder.add(argument, {source});
}

ImageSize WeightedReduction::destination_size(std::span<const ImageDescriptor> sources) const {
    return clipped(sources[0], primary_clip);
}

int WeightedReduction::build(EncodingBuilder &builder) const {
    builder.require_no_offset("primary_source_clip_rect says what is reduced");
    ImageSize size{}, weighted{};
    const int source = builder.part(primary_clip, size, 0);
    const int weights = builder.part(secondary_clip, weighted, 1);
    if (size.width != weighted.width || size.height != weighted.height ||
        builder.channels(0) != builder.channels(1))
        builder.refuse(ErrorKind::shape,
                       concat({"source and weights must have one size and number of feature channels, got ",
                               size.width, " x ", size.height, " x ", builder.channels(0), " and ",
                               weighted.width, " x ", weighted.height, " x ", builder.channels(1)}));
    builder.require_written(size, written_whole);
    ops::WeightedReduction reduction;
    reduction.kind =
        mean || by_non_zero_weights ? ops::WeightedReductionKind::mean : ops::WeightedReductionKind::sum;
    return builder.add(reduction, {source, weights});
}

} // namespace mpscnn::kernels
