#pragma once

#include "kernels/encoding.h"
#include "kernels/normalization.h"

namespace mpscnn::kernels {

/// MPSCNNBatchNormalizationStatisticsGradient, whose result is the sums that the other needs, and
/// MPSCNNBatchNormalizationGradient: the gradient of the source. Both read a batch normalization state.
/// Sources: the gradient of the result, the source and, of the second, the sums.
struct BatchNormalizationGradient {
    bool statistics = false;
    BatchNormalization forward;

    template <class Visitor> void fixed(Visitor &visit) { forward.fixed(visit); }
    template <class Visitor> void fields(Visitor &visit) { forward.fields(visit); }

    void check(const std::string &kernel) const { forward.check(kernel); }
    /// gamma and beta, and the neuron's.
    ops::WeightSpecs weights() const;
    std::int64_t output_channels(ChannelCounts) const { return forward.number_of_feature_channels; }
    ImageDescriptor destination(std::span<const ImageDescriptor> sources) const;
    int build(EncodingBuilder &builder) const;
};

} // namespace mpscnn::kernels
