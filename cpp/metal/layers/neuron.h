#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "metal/layers/layer.h"
#include "shaders/activation_params.h"

#import <MetalPerformanceShaders/MetalPerformanceShaders.h>

namespace mpscnn::metal {

/// An activation as the engine's shaders apply it.
struct Activation {
    NeuronKind kind = NeuronKind::none;
    ActivationParams params{};
};
Activation activation_of(const ops::Neuron &neuron);
/// The one that is attached to a layer.
Activation activation_of(const LayerSource &source);

/// Whether MPSCNNConvolution applies it: where the formula in Apple's headers is right for all finite
/// numbers. Others overflow (softplus as a * log(1 + e^(b * x))), cancel (ELU, GeLU) or lose NaN (a clamp),
/// and the headers contradict themselves where a PReLU is attached and where a function has a third
/// parameter.
bool is_fusible(const std::optional<ops::Neuron> &neuron);
/// As MPS applies it within a convolution; nil without one.
MPSNNNeuronDescriptor *fused_neuron(const std::optional<ops::Neuron> &neuron);

/// Values for all lanes of all slices, zero where there is no feature channel.
std::vector<float> in_slices(const std::vector<float> &values);
/// A PReLU's slopes, a single slice of zeros without one.
std::vector<float> slopes_in_slices(const LayerSource &source);

} // namespace mpscnn::metal
