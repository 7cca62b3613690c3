#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "metal/layers/neuron.h"
#include "metal/layers/slice_weights.h"
#include "metal/layers/steps.h"
#include "shaders/convolution_params.h"

namespace mpscnn::metal {

/// [out][kernel height][kernel width][in / groups], rotated by 180 degrees.
std::vector<float> rotated(const std::vector<float> &weights, const Shape &shape);

/// Convolutions that MPS has not, by a shader of shaders/convolution.metal: "convolution", "pointwise" or
/// "transposed_convolution". `weights` have the given shape, [out][kernel height][kernel width][in / groups].
class ShaderConvolution {
public:
    ShaderConvolution(const char *shader, const std::vector<float> &weights, const Shape &shape,
                      std::int64_t groups, const Activation &activation, const LayerSource &source,
                      Device &device);

    /// The convolution of the step's source.
    Stage stage(const ImageLayout &from, const ImageLayout &to, const WindowParams &window) const;

private:
    const char *shader_;
    ShaderMaker shaders_;
    engine::Precision precision_;
    std::int64_t group_inputs_, group_outputs_;
    Activation activation_;
    SliceWeights weights_;
};

} // namespace mpscnn::metal
