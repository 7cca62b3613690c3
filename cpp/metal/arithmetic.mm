#include "metal/elementwise.h"
#include "metal/neuron.h"

namespace mpscnn::metal {

/// An own shader and not MPSCNNAdd: an activation must come before the sum is rounded, and NaN must pass the
/// limits that MPSCNNAdd has.
std::unique_ptr<Layer> make_layer(const ops::Addition &, const LayerSource &source, Device &device) {
    return make_elementwise("add", activation_params(source), source, device);
}

} // namespace mpscnn::metal
