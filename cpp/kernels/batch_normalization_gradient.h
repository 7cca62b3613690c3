#pragma once

#include "kernels/encoding.h"
#include "kernels/normalization.h"

namespace mpscnn::kernels {

/// Two kernels that compute the gradient of a batch normalization. MPSCNNBatchNormalizationStatisticsGradient
/// computes sums, from which MPSCNNBatchNormalizationGradient computes the gradient of the source. Both read
/// a batch normalization state. Sources: the gradient of the result, the source and, for the second kernel,
/// the sums.
struct BatchNormalizationGradient {
    bool statistics = false;
    BatchNormalization forward;

    template <class Visitor> void fixed(Visitor &visit) { forward.fixed(visit); }
    template <class Visitor> void fields(Visitor &visit) { forward.fields(visit); }

    void check(const std::string &kernel) const { forward.check(kernel); }
    /// Return the specs of gamma and beta, and of the neuron's weights.
    ops::WeightSpecs weights() const;
    std::int64_t output_channels(ChannelCounts) const { return forward.number_of_feature_channels; }
    ImageDescriptor destination(std::span<const ImageDescriptor> sources) const;
    int build(EncodingBuilder &builder) const;
};

} // namespace mpscnn::kernels
