#include "metal/layers/neuron.h"
#include "metal/layers/steps.h"
#include "shaders/padding_params.h"
#include "shaders/reshape_params.h"

namespace mpscnn::metal {

static_assert(sizeof(PaddingParams) == 14 * sizeof(int));

/// Make a padding layer. It uses a shader, because MPSNNPad does not document negative amounts.
std::unique_ptr<Layer> make_layer(const ops::Padding &padding, const LayerSource &source, Device &device) {
    const auto bind = [padding, &device](const Operands &operands) {
        const ImageLayout &result = operands.destination.layout;
        std::vector<float> values(static_cast<std::size_t>(result.channels), padding.value);
        if (!padding.values.empty()) values.assign(padding.values.begin(), padding.values.end());
        const PaddingParams params{operands.source().layout.params(), result.params(),
                                   static_cast<int>(padding.left),    static_cast<int>(padding.top),
                                   static_cast<int>(padding.front),   padding.mode};
        return ShaderArguments(params, {device.make_constants(in_slices(values))});
    };
    return shader_layer(source, device, "padding", bind);
}

namespace {

static_assert(sizeof(ReshapeParams) == 10 * sizeof(int));

/// True if a reshape's result is the image that holds `given`.
bool is_same_image(const engine::Graph &graph, const Shape &given, engine::ValueId result) {
    if (!given.with_batch(1).fixed()) return false;
    return image_extents(given) == image_extents(graph.shape(result)) || graph.only_dense_layers_read(result);
}

} // namespace

engine::ValueId image_of(const engine::Graph &graph, engine::ValueId value) {
    if (graph.is_input(value) || !graph.producer(value).operation.is<ops::Reshape>()) return value;
    const engine::ValueId given = image_of(graph, graph.producer(value).inputs[0]);
    return is_same_image(graph, graph.shape(given), value) ? given : value;
}

ImageLayout dense_input(const LayerSource &source) {
    const engine::ValueId value = image_of(source.graph, source.node.inputs[0]);
    return image_layout(source.graph.shape(value), source.precision);
}

std::unique_ptr<Layer> make_layer(const ops::Reshape &, const LayerSource &source, Device &device) {
    const auto bind = [](const Operands &operands) {
        return ShaderArguments(
            ReshapeParams{operands.source().layout.params(), operands.destination.layout.params()});
    };
    return shader_layer(source, device, "reshape", bind);
}

} // namespace mpscnn::metal
