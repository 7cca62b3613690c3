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

std::vector<int> Arithmetic::operands(EncodingBuilder &builder) const {
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
    return {primary, secondary};
}

int Arithmetic::build(EncodingBuilder &builder) const {
    const std::vector<int> sources = operands(builder);
    const auto add = [&](auto operation) {
        static_cast<ops::Arithmetic &>(operation) = parameters;
        return builder.add(operation, sources);
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

void Compare::check(const std::string &kernel) const {
    arithmetic.check(kernel);
    if (!(threshold >= 0.0f))
        fail(ErrorKind::parameter, {kernel, ": threshold must be at least 0, got ", threshold});
    const bool of_equality =
        comparison_type == ComparisonType::equal || comparison_type == ComparisonType::not_equal;
    if (threshold != 0.0f && !of_equality)
        fail(ErrorKind::parameter,
             {kernel, ": threshold must be 0 unless comparison_type is equal or not_equal, got ", threshold,
              " with ", ops::name_of(comparison_type)});
}

int Compare::build(EncodingBuilder &builder) const {
    Arithmetic compared = arithmetic;
    ops::Arithmetic &p = compared.parameters;
    const bool equal = comparison_type == ComparisonType::equal;
    if (threshold != 0.0f) { // compare max(|difference| - threshold, 0) with 0
        ops::Subtraction difference;
        static_cast<ops::Arithmetic &>(difference) = p;
        difference.bias = 0.0f;
        difference.minimum = ops::Arithmetic{}.minimum;
        difference.maximum = ops::Arithmetic{}.maximum;
        const ops::Neuron magnitude{.kind = ops::NeuronKind::absolute},
            behind{.kind = ops::NeuronKind::linear, .a = 1.0f, .b = -threshold},
            positive{.kind = ops::NeuronKind::relu};
        int value = builder.add(difference, compared.operands(builder));
        for (const ops::Neuron &neuron : {magnitude, behind, positive}) value = builder.add(neuron, {value});
        const auto with_zero = [&](auto operation) {
            operation.secondary_scale = 0.0f;
            operation.bias = p.bias;
            operation.minimum = p.minimum;
            operation.maximum = p.maximum;
            return builder.add(operation, {value, value});
        };
        return equal ? with_zero(ops::Equal{}) : with_zero(ops::NotEqual{});
    }
    switch (comparison_type) {
    case ComparisonType::equal:
        compared.kind = ops::ArithmeticKind::equal;
        break;
    case ComparisonType::not_equal:
        compared.kind = ops::ArithmeticKind::not_equal;
        break;
    case ComparisonType::less: // x < y is computed as -x > -y
    case ComparisonType::less_or_equal:
        p.primary_scale = -p.primary_scale;
        p.secondary_scale = -p.secondary_scale;
        [[fallthrough]];
    case ComparisonType::greater:
    case ComparisonType::greater_or_equal: {
        const bool strict =
            comparison_type == ComparisonType::less || comparison_type == ComparisonType::greater;
        compared.kind = strict ? ops::ArithmeticKind::greater : ops::ArithmeticKind::greater_equal;
        break;
    }
    }
    return compared.build(builder);
}

} // namespace mpscnn::kernels
