#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "metal/layers/layer.h"
#include "shaders/activation_params.h"

#import <MetalPerformanceShaders/MetalPerformanceShaders.h>

namespace mpscnn::metal {

/// An activation with the parameters that shaders read.
struct Activation {
    NeuronKind kind = NeuronKind::none;
    ActivationParams params{};
};
Activation activation_of(const ops::Neuron &neuron);
/// Return the activation that is attached to a layer.
Activation activation_of(const LayerSource &source);

/// True if MPSCNNConvolution may apply the activation, because the formula in Apple's headers is right for
/// all finite numbers. Other formulas overflow (softplus as a * log(1 + e^(b * x))), cancel (ELU, GeLU) or
/// lose NaN (a clamp). The headers contradict themselves about attached PReLUs and functions with a third
/// parameter.
bool is_fusible(const std::optional<ops::Neuron> &neuron);
/// Return the activation that MPS applies inside a convolution, or nil.
MPSNNNeuronDescriptor *fused_neuron(const std::optional<ops::Neuron> &neuron);

/// Return the values of all channels, padded with zeros to whole slices of four.
std::vector<float> in_slices(const std::vector<float> &values);
/// Return a PReLU's slopes in slices, or a single slice of zeros for other activations.
std::vector<float> slopes_in_slices(const LayerSource &source);

} // namespace mpscnn::metal
