#pragma once

#include "kernels/arithmetic.h"

namespace mpscnn::kernels {

/// MPSCNNAddGradient, MPSCNNSubtractGradient and MPSCNNMultiplyGradient. They compute the gradient of one
/// operand, with the size of the destination. Sources: the gradient of the result, and the other operand.
struct ArithmeticGradient {
    Arithmetic forward; ///< the forward kernel; its minimum and maximum limit the written gradient
    bool is_secondary_source_filter = false;

    template <class Visitor> void fixed(Visitor &visit) {
        visit("is_secondary_source_filter", is_secondary_source_filter,
              "whether the gradient is that of the secondary source");
    }
    template <class Visitor> void fields(Visitor &visit) { forward.fields(visit); }

    void check(const std::string &kernel) const;
    ops::WeightSpecs weights() const { return {}; }
    /// Return the channels of the operand's gradient: 1 if the operand has one channel that is broadcast.
    std::int64_t output_channels(ChannelCounts sources) const;
    ImageSize destination_size(std::span<const ImageDescriptor> sources) const;
    int build(EncodingBuilder &builder) const;

private:
    /// Return the stride of the operand whose gradient is computed.
    std::int64_t own(std::int64_t primary, std::int64_t secondary) const {
        return is_secondary_source_filter ? secondary : primary;
    }
};

} // namespace mpscnn::kernels
