#pragma once

#include <optional>

#include "metal/layers/shader_convolution.h"
#include "metal/layers/window.h"

namespace mpscnn::metal {

/// What convolves, for all operations that do: MPSCNNConvolution, or a shader where the channels of groups
/// are not multiples of 4 and for pointwise convolutions whose activation MPS does not apply.
class Convolver {
public:
    /// `shape` is that of the weights: [out][kernel height][kernel width][in / groups].
    Convolver(const Shape &shape, std::int64_t groups, const ops::Window &window,
              const std::optional<ops::Neuron> &neuron, const LayerSource &source, Device &device);

    /// The convolution of the step's source, without the activation where it is not `fused`.
    Stage stage(const ImageLayout &from, const ImageLayout &to, const ops::CanonicalWindow &window) const;
    bool fused() const { return fused_; }

private:
    bool fused_;
    std::string name_;
    std::optional<ShaderConvolution> shader_;
    objc_ptr<MPSCNNConvolution *> kernel_;
};

/// Whether the weights of a layer stay 8-bit integers: those with ranges that MPSCNNConvolution multiplies.
/// Own shaders read them as floats or halves.
bool keeps_bytes(const LayerSource &source);

} // namespace mpscnn::metal
