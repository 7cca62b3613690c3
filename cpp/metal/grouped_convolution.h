#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "metal/neuron.h"
#include "metal/steps.h"
#include "shaders/convolution_params.h"

namespace mpscnn::metal {

/// [out][kernel height][kernel width][in / groups], rotated by 180 degrees.
std::vector<float> rotated(const std::vector<float> &weights, const Shape &shape);

/// Convolutions that MPS has not, by a shader of shaders/convolution.metal. `weights` have the given shape,
/// [out][kernel height][kernel width][in / groups].
class GroupedConvolution {
public:
    GroupedConvolution(const std::vector<float> &weights, const Shape &shape, std::int64_t groups,
                       const Activation &activation, const LayerSource &source, Device &device);

    /// `shader`: "convolution" or "transposed_convolution".
    ShaderCall call(const char *shader, const ImageLayout &from, const ImageLayout &to,
                    const WindowParams &window) const;

private:
    ShaderMaker shaders_;
    engine::Precision precision_;
    std::int64_t group_inputs_, group_outputs_;
    Activation activation_;
    objc_ptr<id<MTLBuffer>> weights_;
    objc_ptr<id<MTLBuffer>> terms_; ///< biases, behind them the slopes of a PReLU
};

} // namespace mpscnn::metal
