#include "metal/layers/activation_behind.h"

#include "shaders/neuron_params.h"

namespace mpscnn::metal {

ActivationBehind::ActivationBehind(const LayerSource &source, Device &device)
    : shaders_(source, device), activation_(activation_of(source)),
      slopes_(device.make_buffer(slopes_in_slices(source))) {}

Stage ActivationBehind::stage(const ImageLayout &from, const ImageLayout &to) const {
    const ShaderArguments arguments(NeuronParams{to.params(), activation_.params}, {slopes_});
    return shader_stage(shaders_.call("neuron", {&from, 1}, to, arguments, activation_.kind), {1}, to);
}

} // namespace mpscnn::metal
