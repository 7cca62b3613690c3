#pragma once

#include <optional>

#include "metal/layers/shader_convolution.h"
#include "metal/layers/window.h"

namespace mpscnn::metal {

/// Convolves, for all operations that do: by MPSCNNConvolution, or by a shader where the channels of groups
/// are not multiples of 4, for pointwise convolutions whose activation MPS does not apply, and where MPS must
/// not be taken on this device.
class Convolver {
public:
    /// `shape` is that of the weights: [out][kernel height][kernel width][in / groups].
    Convolver(const Shape &shape, std::int64_t groups, const ops::Window &window,
              const std::optional<ops::Neuron> &neuron, const LayerSource &source, Device &device);

    /// Return the convolution of the step's source. If the activation is not `fused`, it is not included.
    Stage stage(const ImageLayout &from, const ImageLayout &to, const ops::CanonicalWindow &window) const;
    bool fused() const { return fused_; }

private:
    bool fused_;
    std::string name_;
    std::optional<ShaderConvolution> shader_;
    objc_ptr<MPSCNNConvolution *> kernel_;
};

/// True if the weights of a layer remain 8-bit integers: those with ranges that MPSCNNConvolution multiplies.
/// Shaders read weights as floats or halves.
bool keeps_bytes(const LayerSource &source);

} // namespace mpscnn::metal
