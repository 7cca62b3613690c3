#include <algorithm>
#include <numeric>

#include "metal/layers/neuron.h"
#include "metal/layers/steps.h"
#include "metal/layers/weights.h"
#include "metal/layers/window.h"
#include "ops/unsupported.h"
#include "shaders/depthwise_params.h"

namespace mpscnn::metal {

namespace {

static_assert(sizeof(WindowParams) == 8 * sizeof(int) && sizeof(DepthwiseParams) == 23 * sizeof(int));

/// The shader of shaders/depthwise.metal that computes a convolution, and the arrangement of its threads.
struct DepthwiseShader {
    const char *name = "depthwise"; ///< for windows of any size; one thread for each result
    std::int64_t spacing = 1;       ///< distance in columns between the results of a thread
    std::int64_t width;             ///< threads per row

    DepthwiseShader(const ops::CanonicalWindow &window, const ImageLayout &from, const ImageLayout &to,
                    const Choice &choice, NeuronKind activation)
        : width(to.width) {
        const ops::WindowAxis &columns = window.horizontal;
        const std::int64_t common = std::gcd(columns.stride, columns.dilation),
                           step = columns.stride / common;
        // Only 3x3 windows with channel multiplier 1 have a special shader. A window whose dilation exceeds
        // the image shares no pixels with others, and its columns may not fit an int.
        if (columns.kernel != 3 || window.vertical.kernel != 3 || from.channels != to.channels || step > 2 ||
            columns.dilation > ops::metal_limits::extent)
            return;
        const char *special = step == 1 ? "depthwise_3x3_step1" : "depthwise_3x3_step2";
        if (!choice.may_take(special, activation)) return;
        name = special;
        spacing = columns.dilation / common;
        const std::int64_t block = depthwise_results * spacing;
        width = to.width / block * spacing + std::min(to.width % block, spacing);
    }
};

/// A depthwise convolution. It uses a shader, because MPS has no channel multiplier on a Mac.
class Depthwise : public Layer {
public:
    Depthwise(const ops::Convolution &operation, const LayerSource &source, Device &device)
        : shaders_(source, device), window_(operation.window), activation_(activation_of(source)),
          weights_(source.node.weights.at("weight").values(), operation.output_channels, source, device) {}

    std::unique_ptr<Step> bind(Operands operands) const override {
        const ImageLayout &from = operands.source().layout, &to = operands.destination.layout;
        const auto window = window_.canonical(ops::Convolution::info, from.height, from.width);
        const DepthwiseShader shader(window, from, to, shaders_.choice(), activation_.kind);
        const DepthwiseParams params{from.params(),
                                     to.params(),
                                     window_params(window),
                                     static_cast<unsigned int>(to.channels / from.channels),
                                     static_cast<unsigned int>(shader.spacing),
                                     activation_.params};
        ShaderCall call =
            shaders_.call(shader.name, operands, ShaderArguments(params, {weights_.weights, weights_.terms}),
                          activation_.kind);
        ImageLayout grid = to;
        grid.width = shader.width;
        return staged_step({shader_stage(std::move(call), {0}, to, grid)}, std::move(operands));
    }

private:
    ShaderMaker shaders_;
    ops::Window window_;
    Activation activation_;
    SliceWeights weights_;
};

} // namespace

std::unique_ptr<Layer> make_depthwise(const ops::Convolution &operation, const LayerSource &source,
                                      Device &device) {
    return std::make_unique<Depthwise>(operation, source, device);
}

} // namespace mpscnn::metal
