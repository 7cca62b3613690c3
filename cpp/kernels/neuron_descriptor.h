#pragma once

#include <optional>

#include "ops/fields.h"
#include "ops/neuron.h"

namespace mpscnn::kernels {

/// MPSNNNeuronDescriptor; nothing is neuron type none. The slopes of PReLU are a weight of the kernel.
struct NeuronDescriptor {
    static constexpr const char *data_role = "neuron_data";

    std::optional<ops::Neuron> neuron;

    /// The kernel's weights for `channels` channels: PReLU's slopes.
    ops::WeightSpecs weights(std::int64_t channels) const;
    /// The same after a kernel's own.
    void add_weights(ops::WeightSpecs &specs, std::int64_t channels) const;
};

} // namespace mpscnn::kernels

namespace mpscnn::ops {

/// {"neuron_type", "a", "b", "c"} or null.
template <> struct FieldCodec<kernels::NeuronDescriptor> {
    static constexpr const char *type = "neuron descriptor";
    static Json write(const kernels::NeuronDescriptor &descriptor);
    static kernels::NeuronDescriptor read(const JsonView &json);
};

} // namespace mpscnn::ops
