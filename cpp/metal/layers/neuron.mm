#include "metal/layers/neuron.h"

#include "metal/layers/steps.h"
#include "shaders/neuron_params.h"

namespace mpscnn::metal {

using ops::NeuronKind;

static_assert(sizeof(NeuronParams) == 8 * sizeof(int));

Activation activation_of(const ops::Neuron &neuron) {
    if (neuron.kind == NeuronKind::clamp)
        return {neuron.kind, {neuron.lower_limit(), neuron.upper_limit(), 0.0f}};
    return {neuron.kind, {neuron.a, neuron.b, neuron.c}};
}

Activation activation_of(const LayerSource &source) {
    return activation_of(source.node.activation.value_or(ops::Neuron{}));
}

bool is_fusible(const std::optional<ops::Neuron> &neuron) {
    if (!neuron) return true;
    switch (neuron->kind) {
    case NeuronKind::none:
    case NeuronKind::relu:
    case NeuronKind::relun:
    case NeuronKind::linear:
    case NeuronKind::absolute:
        return true;
    default:
        return false;
    }
}

MPSNNNeuronDescriptor *fused_neuron(const std::optional<ops::Neuron> &neuron) {
    if (!neuron || neuron->kind == NeuronKind::none) return nil;
    return [MPSNNNeuronDescriptor cnnNeuronDescriptorWithType:static_cast<MPSCNNNeuronType>(neuron->kind)
                                                            a:neuron->a
                                                            b:neuron->b];
}

std::vector<float> in_slices(const std::vector<float> &values) {
    std::vector<float> padded = values;
    padded.resize((values.size() + 3) / 4 * 4, 0.0f);
    return padded;
}

std::vector<float> slopes_in_slices(const LayerSource &source) {
    return in_slices(source.node.weight_or("slope", 1, 0.0f));
}

/// Make an activation layer. It uses a shader, because NaN and infinities must pass, and MPSCNNNeuron does
/// not document whether they do.
std::unique_ptr<Layer> make_layer(const ops::Neuron &operation, const LayerSource &source, Device &device) {
    const Activation activation = activation_of(operation);
    const auto slopes = device.make_constants(slopes_in_slices(source));
    const auto bind = [activation, slopes](const Operands &operands) {
        return ShaderArguments(NeuronParams{operands.destination.layout.params(), activation.params},
                               {slopes});
    };
    return shader_layer(source, device, "neuron", bind, activation.kind);
}

} // namespace mpscnn::metal
