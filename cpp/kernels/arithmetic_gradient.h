#pragma once

#include "kernels/arithmetic.h"

namespace mpscnn::kernels {

/// MPSCNNAddGradient, MPSCNNSubtractGradient and MPSCNNMultiplyGradient: the gradient of one operand, as
/// large as the destination. Sources: the gradient of the result, and the other operand.
struct ArithmeticGradient {
    Arithmetic forward; ///< minimum and maximum are those of the gradient that is written
    bool is_secondary_source_filter = false;

    template <class Visitor> void fixed(Visitor &visit) {
        visit("is_secondary_source_filter", is_secondary_source_filter,
              "whether the gradient is that of the secondary source");
    }
    template <class Visitor> void fields(Visitor &visit) { forward.fields(visit); }

    void check(const std::string &kernel) const;
    ops::WeightSpecs weights() const { return {}; }
    /// One where the operand has one for all.
    std::int64_t output_channels(ChannelCounts sources) const;
    ImageSize destination_size(std::span<const ImageDescriptor> sources) const;
    int build(EncodingBuilder &builder) const;

private:
    /// Strides with which the operand is read.
    std::int64_t own(std::int64_t primary, std::int64_t secondary) const {
        return is_secondary_source_filter ? secondary : primary;
    }
};

} // namespace mpscnn::kernels
