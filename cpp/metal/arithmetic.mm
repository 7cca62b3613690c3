#include "metal/elementwise.h"
#include "metal/neuron.h"
#include "metal/parameters.h"

namespace mpscnn::metal {

std::optional<std::string> refusal(const ops::Addition &operation, const LayerSource &source) {
    if (auto reason = refuse_parameters_beyond(operation, {})) return reason;
    const Shape &first = source.graph.shape(source.node.inputs[0]);
    const Shape &second = source.graph.shape(source.node.inputs[1]);
    if (!(first == second))
        return "the Metal engine adds tensors of one shape, not " + first.text() + " and " + second.text();
    return refuse_activation(source);
}

/// An own shader and not MPSCNNAdd: an activation must come before the sum is rounded, and NaN must pass the
/// limits that MPSCNNAdd has.
std::unique_ptr<Layer> make_layer(const ops::Addition &, const LayerSource &source, Device &device) {
    return make_elementwise("add", activation_params(source), source, device);
}

} // namespace mpscnn::metal
