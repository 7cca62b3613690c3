#include "metal/layers/steps.h"
#include "metal/layers/weights.h"
#include "shaders/constant_params.h"

namespace mpscnn::metal {

static_assert(sizeof(ConstantParams) == 5 * sizeof(int));

std::unique_ptr<Layer> make_layer(const ops::Constant &, const LayerSource &source, Device &device) {
    std::vector<float> values = source.node.weights.at("value").values();
    require_weights_fit(values, source.precision, source.name());
    values.resize((values.size() + 3) / 4 * 4); // pad to a multiple of four, because the shader reads float4
    const auto bind = [buffer = device.make_constants(values)](const Operands &operands) {
        return ShaderArguments(ConstantParams{operands.destination.layout.params()}, {buffer});
    };
    return shader_layer(source, device, "put_constant", bind);
}

} // namespace mpscnn::metal
