#pragma once

#include "kernels/encoding.h"

namespace mpscnn::kernels {

/// The parameters of MPSCNNAdd, MPSCNNSubtract, MPSCNNMultiply and MPSCNNDivide.
struct Arithmetic {
    ops::ArithmeticKind kind = ops::ArithmeticKind::add;

    ops::Arithmetic parameters;

    template <class Visitor> void fixed(Visitor &) {}
    template <class Visitor> void fields(Visitor &visit) {
        visit("primary_scale", parameters.primary_scale, "factor of the primary source");
        visit("secondary_scale", parameters.secondary_scale, "factor of the secondary source");
        visit("bias", parameters.bias, "added to the result");
        visit("minimum_value", parameters.minimum, "lower limit of the result; none unless given");
        visit("maximum_value", parameters.maximum, "upper limit of the result; none unless given");
        visit("primary_stride_x", parameters.primary_stride_x,
              "step in columns through the primary source; 0: one column for all");
        visit("primary_stride_y", parameters.primary_stride_y,
              "step in rows through the primary source; 0: one row for all");
        visit("primary_stride_in_feature_channels", parameters.primary_stride_channels,
              "1, or 0: one channel of the primary source for all");
        visit("secondary_stride_x", parameters.secondary_stride_x,
              "step in columns through the secondary source; 0: one column for all");
        visit("secondary_stride_y", parameters.secondary_stride_y,
              "step in rows through the secondary source; 0: one row for all");
        visit("secondary_stride_in_feature_channels", parameters.secondary_stride_channels,
              "1, or 0: one channel of the secondary source for all");
    }

    void check(const std::string &kernel) const;
    ops::WeightSpecs weights() const { return {}; }
    std::int64_t output_channels(ChannelCounts sources) const;
    /// Return the size of a result. Along axes where a stride of 0 broadcasts the primary source, it is the
    /// size of the secondary source divided by its stride, rounded up. Along other axes, it follows from the
    /// primary source in the same way.
    ImageSize destination_size(std::span<const ImageDescriptor> sources) const;
    ImageRegion source_region(const Offset &offset, const ImageSize &written, std::size_t source) const;
    int build(EncodingBuilder &builder) const;
    /// Return the sources as operands of an operation with these parameters.
    std::vector<int> operands(EncodingBuilder &builder) const;
};

/// The comparisons of MPSNNComparisonType.
enum class ComparisonType { equal, not_equal, less, less_or_equal, greater, greater_or_equal };

} // namespace mpscnn::kernels

namespace mpscnn::ops {

template <> struct EnumNames<kernels::ComparisonType> {
    static constexpr std::array<std::pair<const char *, kernels::ComparisonType>, 6> values{
        {{"equal", kernels::ComparisonType::equal},
         {"not_equal", kernels::ComparisonType::not_equal},
         {"less", kernels::ComparisonType::less},
         {"less_or_equal", kernels::ComparisonType::less_or_equal},
         {"greater", kernels::ComparisonType::greater},
         {"greater_or_equal", kernels::ComparisonType::greater_or_equal}}};
};

} // namespace mpscnn::ops

namespace mpscnn::kernels {

/// MPSNNCompare: the result is 1 where the comparison is true, otherwise 0.
struct Compare {
    ComparisonType comparison_type = ComparisonType::equal;
    float threshold = 0.0f;
    Arithmetic arithmetic;

    template <class Visitor> void fixed(Visitor &) {}
    template <class Visitor> void fields(Visitor &visit) {
        visit("comparison_type", comparison_type, "the comparison of primary and secondary source");
        visit("threshold", threshold, "the largest difference of values that count as equal");
        arithmetic.fields(visit);
    }

    void check(const std::string &kernel) const;
    ops::WeightSpecs weights() const { return {}; }
    std::int64_t output_channels(ChannelCounts sources) const { return arithmetic.output_channels(sources); }
    ImageSize destination_size(std::span<const ImageDescriptor> sources) const {
        return arithmetic.destination_size(sources);
    }
    ImageRegion source_region(const Offset &offset, const ImageSize &written, std::size_t source) const {
        return arithmetic.source_region(offset, written, source);
    }
    int build(EncodingBuilder &builder) const;
};

} // namespace mpscnn::kernels
