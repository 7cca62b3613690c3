#pragma once

#include <optional>

#include "metal/layers/shader_convolution.h"
#include "metal/layers/window.h"

namespace mpscnn::metal {

/// Computes the convolutions of convolution, dense and subpixel layers, except depthwise and transposed ones,
/// which have separate classes. It uses MPSCNNConvolution, or a shader in three cases: the channels of groups
/// are not multiples of 4, MPS does not apply the activation of a pointwise convolution, or this device may
/// not use MPS's kernel.
class Convolver {
public:
    /// Prepare a convolution. `shape` is the shape of the weights: [out][kernel height][kernel width][in /
    /// groups].
    Convolver(const Shape &shape, std::int64_t groups, const ops::Window &window,
              const std::optional<ops::Neuron> &neuron, const LayerSource &source, Device &device);

    /// Return the stage that convolves the step's source. If the activation is not `fused`, the stage does
    /// not apply it.
    Stage stage(const ImageLayout &from, const ImageLayout &to, const ops::CanonicalWindow &window) const;
    bool fused() const { return fused_; }

private:
    bool fused_;
    std::string name_;
    std::optional<ShaderConvolution> shader_;
    objc_ptr<MPSCNNConvolution *> kernel_;
};

/// True if the weights of a layer stay 8-bit integers on the GPU. These are weights with ranges, in layers
/// that MPSCNNConvolution computes. Shaders read weights as floats or halves.
bool keeps_bytes(const LayerSource &source);

} // namespace mpscnn::metal
