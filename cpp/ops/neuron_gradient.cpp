#include "ops/neuron_gradient.h"

#include "core/text.h"

namespace mpscnn::ops {

namespace {

/// One number for each channel of an input.
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
