#pragma once

#include "metal/layers/neuron.h"
#include "metal/layers/steps.h"

namespace mpscnn::metal {

/// The activation behind a convolution that does not apply it itself.
class ActivationBehind {
public:
    ActivationBehind(const LayerSource &source, Device &device);

    /// For the result of the stage before, the step's first one, which is not rounded.
    Stage stage(const ImageLayout &from, const ImageLayout &to) const;

private:
    ShaderMaker shaders_;
    Activation activation_;
    objc_ptr<id<MTLBuffer>> slopes_;
};

} // namespace mpscnn::metal
