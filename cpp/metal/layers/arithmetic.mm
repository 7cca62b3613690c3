#include "metal/layers/neuron.h"
#include "metal/layers/steps.h"
#include "shaders/arithmetic_params.h"

namespace mpscnn::metal {

namespace {

static_assert(sizeof(ArithmeticOperand) == 9 * sizeof(int));
static_assert(sizeof(ArithmeticParams) == 30 * sizeof(int));

ArithmeticOperand operand(const ImageLayout &image, std::int64_t step_x, std::int64_t step_y,
                          std::int64_t step_channels, float scale) {
    return {image.params(), static_cast<unsigned int>(step_x), static_cast<unsigned int>(step_y),
            static_cast<unsigned int>(step_channels), scale};
}

} // namespace

/// Make a layer of elementwise arithmetic. It uses a shader instead of MPSCNNArithmetic for three reasons:
/// the activation must come before the result is rounded, infinities must pass MPS's default limits, and
/// source strides may be larger than 1.
std::unique_ptr<Layer> make_arithmetic_layer(const ops::Arithmetic &operation, ArithmeticKind kind,
                                             const LayerSource &source, Device &device) {
    const Activation activation = activation_of(source);
    const auto slopes = device.make_constants(slopes_in_slices(source));
    const auto bind = [operation, kind, activation, slopes](const Operands &operands) {
        constexpr float infinity = std::numeric_limits<float>::infinity();
        const ArithmeticParams params{
            operand(operands.sources[0].layout, operation.primary_stride_x, operation.primary_stride_y,
                    operation.primary_stride_channels, operation.primary_scale),
            operand(operands.sources[1].layout, operation.secondary_stride_x, operation.secondary_stride_y,
                    operation.secondary_stride_channels, operation.secondary_scale),
            operands.destination.layout.params(),
            kind,
            operation.bias,
            operation.has_minimum() ? operation.minimum : -infinity,
            operation.has_maximum() ? operation.maximum : infinity,
            activation.params};
        return ShaderArguments(params, {slopes});
    };
    return shader_layer(source, device, "arithmetic", bind, activation.kind);
}

} // namespace mpscnn::metal
