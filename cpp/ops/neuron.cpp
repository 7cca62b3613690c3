#include "ops/neuron.h"

#include <limits>

#include "core/text.h"

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

namespace {

/// True for the shape of one number for each channel of an input.
bool is_pixel(const Shape &shape, std::int64_t channels) {
    for (int axis = 0; axis + 1 < shape.rank(); ++axis)
        if (shape[axis] != 1) return false;
    return shape.rank() >= 2 && shape.back() == channels;
}

} // namespace

bool NeuronGradient::follows_from_result(const Neuron &neuron) {
    switch (neuron.kind) {
    case NeuronKind::none:
    case NeuronKind::linear:
    case NeuronKind::sigmoid:
    case NeuronKind::hard_sigmoid:
    case NeuronKind::softsign:
    case NeuronKind::exponential:
    case NeuronKind::clamp:
        return true;
    case NeuronKind::relu:
    case NeuronKind::relun:
    case NeuronKind::elu:
        return neuron.a >= 0.0f;
    case NeuronKind::tanh:
    case NeuronKind::softplus:
        return neuron.a != 0.0f;
    default:
        return false;
    }
}

void NeuronGradient::check(const InputShapes &inputs) const {
    neuron.check(inputs);
    require_like_first(info, inputs, 1);
    if (from_result && !follows_from_result(neuron))
        refuse_parameter(info, "from_result",
                         concat({"false for ", name_of(neuron.kind), " with a = ", neuron.a}), "true");
    const bool has_slopes = neuron.kind == NeuronKind::prelu;
    if (has_slopes != (inputs.size() == 3))
        fail(ErrorKind::parameter, {info.name, ": the slopes, input 2, are for prelu and needed there, got ",
                                    inputs.size(), " inputs for ", name_of(neuron.kind)});
    if (has_slopes && !is_pixel(inputs[2], inputs[0].back()))
        fail(ErrorKind::shape, {info.name, ": input 2 must have one slope for each of the ", inputs[0].back(),
                                " channels, (1, channels), got ", inputs[2].text()});
}

} // namespace mpscnn::ops
