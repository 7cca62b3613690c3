#include "kernels/arithmetic.h"

#include "core/text.h"

namespace mpscnn::kernels {

void Arithmetic::check(const std::string &kernel) const {
    const ops::Arithmetic &p = parameters;
    require_range(kernel, "primary_stride_x", p.primary_stride_x, 0);
    require_range(kernel, "primary_stride_y", p.primary_stride_y, 0);
    require_range(kernel, "secondary_stride_x", p.secondary_stride_x, 0);
    require_range(kernel, "secondary_stride_y", p.secondary_stride_y, 0);
    const std::initializer_list<std::pair<const char *, std::int64_t>> channels{
        {"primary_stride_in_feature_channels", p.primary_stride_channels},
        {"secondary_stride_in_feature_channels", p.secondary_stride_channels}};
    for (const auto &[name, stride] : channels)
        if (stride != 0 && stride != 1)
            fail(ErrorKind::parameter, {kernel, ": ", name, " must be 0 or 1, got ", stride});
    if (!(p.minimum <= p.maximum))
        fail(ErrorKind::parameter,
             {kernel, ": minimum_value must be at most maximum_value, got ", p.minimum, " and ", p.maximum});
}

std::int64_t Arithmetic::output_channels(ChannelCounts sources) const {
    if (parameters.primary_stride_channels != 0) return sources[0];
    return parameters.secondary_stride_channels != 0 ? sources[1] : 1;
}

ImageSize Arithmetic::destination_size(std::span<const ImageDescriptor> sources) const {
    const ImageDescriptor &primary = sources[0], &secondary = sources[1];
    const auto rows = [](std::int64_t extent, std::int64_t stride) { return (extent + stride - 1) / stride; };
    const auto size = [&](std::int64_t first, std::int64_t first_stride, std::int64_t second,
                          std::int64_t second_stride) -> std::int64_t {
        if (first_stride != 0) return rows(first, first_stride);
        return second_stride != 0 ? rows(second, second_stride) : 1;
    };
    const ops::Arithmetic &p = parameters;
    return {size(primary.width, p.primary_stride_x, secondary.width, p.secondary_stride_x),
            size(primary.height, p.primary_stride_y, secondary.height, p.secondary_stride_y)};
}

ImageRegion Arithmetic::source_region(const Offset &offset, const ImageSize &written,
                                      std::size_t source) const {
    const ops::Arithmetic &p = parameters;
    ImageRegion region;
    region.x = offset.x;
    region.y = offset.y;
    region.width = (written.width - 1) * (source == 0 ? p.primary_stride_x : p.secondary_stride_x) + 1;
    region.height = (written.height - 1) * (source == 0 ? p.primary_stride_y : p.secondary_stride_y) + 1;
    return region;
}

int Arithmetic::build(EncodingBuilder &builder) const {
    const ops::Arithmetic &p = parameters;
    if ((p.primary_stride_x == 0 && p.secondary_stride_x == 0 && builder.width() > 1) ||
        (p.primary_stride_y == 0 && p.secondary_stride_y == 0 && builder.height() > 1))
        builder.refuse(ErrorKind::parameter,
                       concat({"both strides of an axis are 0, so that one pixel is the result; ",
                               builder.width(), " x ", builder.height(), " are written"}));
    const std::int64_t counts[] = {builder.channels(0), builder.channels(1)};
    const std::int64_t channels = output_channels(counts);
    const std::int64_t strides[] = {p.primary_stride_channels, p.secondary_stride_channels};
    for (std::size_t i = 0; i < 2; ++i) {
        if (strides[i] != 0 && counts[i] != channels)
            builder.refuse(ErrorKind::shape,
                           concat({"both sources must have one number of feature channels, got ", counts[0],
                                   " and ", counts[1], "; a stride of 0 takes one channel for all"}));
        if (strides[i] == 0) builder.read_channels(1, i);
    }
    const int primary = builder.pixels(0, p.primary_stride_x, p.primary_stride_y);
    const int secondary = builder.pixels(1, p.secondary_stride_x, p.secondary_stride_y);
    const auto add = [&](auto operation) {
        static_cast<ops::Arithmetic &>(operation) = p;
        return builder.add(operation, {primary, secondary});
    };
    switch (kind) {
#define MPSCNN_ARITHMETIC(NAME, TYPE, SUMMARY)                                                               \
    case ops::ArithmeticKind::NAME:                                                                          \
        return add(ops::TYPE{});
        FOR_EACH_ARITHMETIC(MPSCNN_ARITHMETIC)
#undef MPSCNN_ARITHMETIC
    }
    fail(ErrorKind::parameter, "unknown elementwise operation");
}

} // namespace mpscnn::kernels
