#include "metal/neuron.h"

#include "core/json.h"
#include "metal/elementwise.h"

namespace mpscnn::metal {

ActivationParams activation_params(const ops::Neuron &neuron) {
    return {static_cast<int>(neuron.kind), neuron.a, neuron.b};
}

ActivationParams activation_params(const LayerSource &source) {
    return activation_params(source.node.activation.value_or(ops::Neuron{}));
}

MPSNNNeuronDescriptor *fused_neuron(const LayerSource &source) {
    const auto &neuron = source.node.activation;
    if (!neuron || neuron->kind == ops::NeuronKind::none) return nil;
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

std::unique_ptr<Layer> make_layer(const ops::Neuron &operation, const LayerSource &source, Device &device) {
    return make_elementwise("neuron", activation_params(operation), source, device);
}

} // namespace mpscnn::metal
