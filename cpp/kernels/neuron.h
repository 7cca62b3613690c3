#pragma once

#include "kernels/encoding.h"
#include "kernels/neuron_descriptor.h"

namespace mpscnn::kernels {

/// MPSCNNNeuron and its subclasses, each of which computes a single function.
struct Neuron {
    std::optional<ops::NeuronKind> only; ///< for a subclass: its function
    NeuronDescriptor neuron_descriptor;
    std::int64_t data_count = 0;

    template <class Visitor> void fixed(Visitor &visit) {
        visit("neuron_descriptor", neuron_descriptor, "which function, and its parameters");
        visit("data_count", data_count, "number of slopes of 'prelu', one for each feature channel");
    }
    template <class Visitor> void fields(Visitor &) {}

    void check(const std::string &kernel) const;
    ops::WeightSpecs weights() const { return neuron_descriptor.weights(data_count); }
    std::int64_t output_channels(ChannelCounts sources) const { return sources[0]; }
    int build(EncodingBuilder &builder) const;
};

} // namespace mpscnn::kernels
