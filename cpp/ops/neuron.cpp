#include "ops/neuron.h"

#include <limits>

namespace mpscnn::ops {

void Neuron::check(const InputShapes &inputs) const {
    require_finite(info, "a", a);
    require_finite(info, "b", b);
    require_finite(info, "c", c);
    const bool base_is_e = c == -1.0f;
    if (kind == NeuronKind::exponential && !base_is_e && !(c > 0.0f))
        refuse_parameter(info, "c", "the base of exponential, above 0 or -1 for e", c);
    if (kind == NeuronKind::logarithm && !base_is_e && (!(c > 0.0f) || c == 1.0f))
        refuse_parameter(info, "c", "the base of logarithm, above 0 and not 1, or -1 for e", c);
    if (kind == NeuronKind::clamp && a > b)
        refuse_parameter(info, "b", "a limit of clamp that is not below a", b);
    if (kind == NeuronKind::prelu) require_fixed_channels(info, inputs);
}

WeightSpecs Neuron::weights(const InputShapes &inputs) const {
    if (kind != NeuronKind::prelu) return {};
    return {{"slope", {inputs[0].back()}}};
}

Cost Neuron::cost(const InputShapes &, const Shape &output) const {
    return {0, kind == NeuronKind::none ? 0 : output.elements()};
}

float Neuron::lower_limit() const {
    using Limits = std::numeric_limits<float>;
    return a == Limits::lowest() ? -Limits::infinity() : a;
}

float Neuron::upper_limit() const {
    using Limits = std::numeric_limits<float>;
    return b == Limits::max() ? Limits::infinity() : b;
}

} // namespace mpscnn::ops
