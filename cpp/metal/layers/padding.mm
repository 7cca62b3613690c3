#include "metal/layers/neuron.h"
#include "metal/layers/steps.h"
#include "shaders/padding_params.h"

namespace mpscnn::metal {

static_assert(sizeof(PaddingParams) == 14 * sizeof(int));

/// An own shader: MPSNNPad does not say what negative amounts mean.
std::unique_ptr<Layer> make_layer(const ops::Padding &padding, const LayerSource &source, Device &device) {
    const auto bind = [padding, &device](const Operands &operands) {
        const ImageLayout &result = operands.destination.layout;
        std::vector<float> values(static_cast<std::size_t>(result.channels), padding.value);
        if (!padding.values.empty()) values.assign(padding.values.begin(), padding.values.end());
        const PaddingParams params{operands.source().layout.params(), result.params(),
                                   static_cast<int>(padding.left),    static_cast<int>(padding.top),
                                   static_cast<int>(padding.front),   padding.mode};
        return ShaderArguments(params, {device.make_buffer(in_slices(values))});
    };
    return shader_layer(source, device, "padding", bind);
}

} // namespace mpscnn::metal
