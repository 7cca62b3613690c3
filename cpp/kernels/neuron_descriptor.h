#pragma once

#include <optional>

#include "ops/fields.h"
#include "ops/neuron.h"

namespace mpscnn::kernels {

/// MPSNNNeuronDescriptor; without a neuron it is Apple's type none. The slopes of PReLU are a weight of the
/// kernel.
struct NeuronDescriptor {
    static constexpr const char *data_role = "neuron_data";

    std::optional<ops::Neuron> neuron;

    /// Return the specs of the weights for `channels` channels: PReLU's slopes.
    ops::WeightSpecs weights(std::int64_t channels) const;
    /// Append the specs of the neuron's weights to `specs`, the specs of a kernel's weights.
    void add_weights(ops::WeightSpecs &specs, std::int64_t channels) const;
};

} // namespace mpscnn::kernels

namespace mpscnn::ops {

/// JSON form: {"neuron_type", "a", "b", "c"} or null.
template <> struct FieldCodec<kernels::NeuronDescriptor> {
    static constexpr const char *type = "neuron descriptor";
    static Json write(const kernels::NeuronDescriptor &descriptor);
    static kernels::NeuronDescriptor read(const JsonView &json);
};

} // namespace mpscnn::ops
