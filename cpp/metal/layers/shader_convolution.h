#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "metal/layers/neuron.h"
#include "metal/layers/steps.h"
#include "metal/layers/weights.h"
#include "shaders/convolution_params.h"

namespace mpscnn::metal {

/// Rotate the kernels of weights [out][kernel height][kernel width][in / groups] by 180 degrees.
std::vector<float> rotated(const std::vector<float> &weights, const Shape &shape);

/// Computes convolutions with a shader of shaders/convolution.metal: "convolution", "pointwise" or
/// "transposed_convolution". MPS does not support them, or the device may not use MPS's kernel. `weights`
/// have the given shape, [out][kernel height][kernel width][in / groups].
class ShaderConvolution {
public:
    ShaderConvolution(const char *shader, const std::vector<float> &weights, const Shape &shape,
                      std::int64_t groups, const Activation &activation, const LayerSource &source,
                      Device &device);

    /// Return the name of the shader's variant for the type of its weights.
    static std::string name_of(const char *shader, engine::Precision precision);

    /// Return the stage that convolves the step's source.
    Stage stage(const ImageLayout &from, const ImageLayout &to, const WindowParams &window) const;

private:
    const char *shader_;
    ShaderMaker shaders_;
    engine::Precision precision_;
    std::int64_t group_inputs_, group_outputs_;
    Activation activation_;
    SliceWeights weights_;
};

/// Applies an activation in a separate stage after a convolution that cannot apply it.
class ActivationBehind {
public:
    ActivationBehind(const LayerSource &source, Device &device);

    /// Return the stage that reads the result of the step's first stage. That result is not rounded.
    Stage stage(const ImageLayout &from, const ImageLayout &to) const;

private:
    ShaderMaker shaders_;
    Activation activation_;
    objc_ptr<id<MTLBuffer>> slopes_;
};

} // namespace mpscnn::metal
