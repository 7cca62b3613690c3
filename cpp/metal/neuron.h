#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "metal/layer.h"
#include "shaders/activation_params.h"

#import <MetalPerformanceShaders/MetalPerformanceShaders.h>

namespace mpscnn::metal {

/// The layer's activation as the engine's shaders apply it.
ActivationParams activation_params(const LayerSource &source);
ActivationParams activation_params(const ops::Neuron &neuron);
/// As MPS applies it within a convolution; nil without one.
MPSNNNeuronDescriptor *fused_neuron(const LayerSource &source);

/// Values for all lanes of all slices, zero where there is no feature channel.
std::vector<float> in_slices(const std::vector<float> &values);
/// A PReLU's slopes, a single slice of zeros without one.
std::vector<float> slopes_in_slices(const LayerSource &source);

} // namespace mpscnn::metal
