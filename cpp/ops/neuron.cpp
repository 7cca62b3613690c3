#include "ops/neuron.h"

#include <cmath>

namespace mpscnn::ops {

void Neuron::check(const InputShapes &inputs) const {
    if (!std::isfinite(a)) refuse_parameter(info, "a", "finite", std::to_string(a));
    if (!std::isfinite(b)) refuse_parameter(info, "b", "finite", std::to_string(b));
    if (kind == NeuronKind::prelu) require_fixed_channels(info, inputs);
}

WeightSpecs Neuron::weights(const InputShapes &inputs) const {
    if (kind != NeuronKind::prelu) return {};
    return {{"slope", {inputs[0].back()}}};
}

Cost Neuron::cost(const InputShapes &, const Shape &output) const {
    return {0, kind == NeuronKind::none ? 0 : output.elements()};
}

} // namespace mpscnn::ops
