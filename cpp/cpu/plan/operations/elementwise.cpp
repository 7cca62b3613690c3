#include <cmath>
#include <limits>

#include "cpu/plan/operation.h"

namespace mpscnn::cpu {

namespace {

/// Return a view of `values` that repeats them for each image.
ConstView constant_view(const float *values, const Extents &extents) {
    return {.data = values,
            .batch = extents.batch,
            .height = extents.height,
            .width = extents.width,
            .channels = extents.channels,
            .image_stride = 0,
            .row_stride = extents.width * extents.channels,
            .pixel_stride = extents.channels};
}

} // namespace

void make_arithmetic_step(StepBuilder &builder, const FusedOperation &fused,
                          const ops::Arithmetic &arithmetic, ops::ArithmeticKind kind) {
    ArithmeticTask task;
    task.epilogue = epilogue_of(fused);
    task.kind = kind;
    task.source_steps = {arithmetic.primary_stride_y, arithmetic.primary_stride_x,
                         arithmetic.primary_stride_channels};
    task.second_steps = {arithmetic.secondary_stride_y, arithmetic.secondary_stride_x,
                         arithmetic.secondary_stride_channels};
    task.source_scale = arithmetic.primary_scale;
    task.second_scale = arithmetic.secondary_scale;
    task.bias = arithmetic.bias;
    constexpr float infinity = std::numeric_limits<float>::infinity();
    task.low = arithmetic.has_minimum() ? arithmetic.minimum : -infinity;
    task.high = arithmetic.has_maximum() ? arithmetic.maximum : infinity;
    task.scaled = task.source_scale != 1.0f || task.second_scale != 1.0f || task.bias != 0.0f ||
                  arithmetic.has_minimum() || arithmetic.has_maximum();
    if (fused.constant.size() > 0) {
        task.second = constant_view(fused.constant.data(), extents_of(builder.input_shape(fused, 1)));
        builder.begin(fused, task);
        return;
    }
    builder.begin(fused, task).others = {builder.placement().region(fused.inputs[1])};
}

namespace {

DropoutTask dropout_task(const ops::Dropout &dropout) {
    DropoutTask task;
    task.seed = static_cast<std::uint64_t>(dropout.seed);
    task.last_kept = dropout.last_kept();
    task.scale = static_cast<float>(1.0 / static_cast<double>(dropout.keep_probability));
    task.varies_y = dropout.mask_stride_y == 1;
    task.varies_x = dropout.mask_stride_x == 1;
    task.varies_channels = dropout.mask_stride_channels == 1;
    return task;
}

} // namespace

void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::Dropout &dropout) {
    if (!dropout.training) {
        AffineTask copy;
        copy.epilogue = epilogue_of(fused);
        builder.begin(fused, copy);
        return;
    }
    DropoutTask task = dropout_task(dropout);
    task.round_to_half = fused.rounds;
    builder.begin(fused, task);
}

void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::StepDropout &operation) {
    DropoutTask task = dropout_task(operation.dropout);
    task.reads_step = true;
    builder.begin(fused, task).others = {builder.placement().region(fused.inputs[1])};
}

namespace {

/// Set the factor of an exponential or logarithm as the sum of two floats, which keeps more of its digits.
void set_factor(Activation &activation, double factor) {
    activation.c = static_cast<float>(factor);
    activation.c_low = static_cast<float>(factor - activation.c);
}

Activation function_activation(const ops::Neuron &neuron, const KernelTable &kernels) {
    Activation activation;
    activation.kind = Activation::Kind::function;
    activation.function = neuron.kind;
    activation.a = neuron.a;
    activation.b = neuron.b;
    activation.c = neuron.c;
    activation.apply = kernels.apply_neuron;
    const double logarithm_of_base = neuron.c == -1.0f ? 1.0 : std::log(static_cast<double>(neuron.c));
    if (neuron.kind == NeuronKind::exponential) set_factor(activation, logarithm_of_base);
    if (neuron.kind == NeuronKind::logarithm) set_factor(activation, 1.0 / logarithm_of_base);
    return activation;
}

} // namespace

OwnedActivation lower_neuron(const ops::Neuron &neuron, const engine::Node &node,
                             const KernelTable &kernels) {
    using Kind = Activation::Kind;
    OwnedActivation owned;
    Activation &activation = owned.activation;
    switch (neuron.kind) {
    case NeuronKind::none:
        break;
    case NeuronKind::relu:
    case NeuronKind::relun:
        activation.kind = neuron.a == 0.0f ? Kind::clamp : Kind::leaky;
        activation.slope = neuron.a;
        activation.high =
            neuron.kind == NeuronKind::relun ? neuron.b : std::numeric_limits<float>::infinity();
        break;
    case NeuronKind::clamp:
        activation.kind = Kind::clamp;
        activation.low = neuron.lower_limit();
        activation.high = neuron.upper_limit();
        break;
    case NeuronKind::linear:
        activation.kind = Kind::linear;
        activation.slope = neuron.a;
        activation.low = neuron.b;
        break;
    case NeuronKind::prelu:
        activation.kind = Kind::prelu;
        owned.slopes = padded_to_vectors(node.weights.at("slope").values());
        activation.slopes = owned.slopes.data();
        break;
    default:
        activation = function_activation(neuron, kernels);
    }
    return owned;
}

void lower(const OperationLowering &lowering, const ops::Neuron &neuron) {
    lowering.fused.activation = lower_neuron(neuron, lowering.node, lowering.kernels);
}

void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::Neuron &) {
    AffineTask task;
    task.epilogue = epilogue_of(fused);
    builder.begin(fused, task);
}

void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::Softmax &) {
    SoftmaxTask task;
    task.round_to_half = fused.rounds;
    builder.begin(fused, task);
}

void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::LogSoftmax &) {
    SoftmaxTask task;
    task.round_to_half = fused.rounds;
    task.logarithm = true;
    builder.begin(fused, task);
}

} // namespace mpscnn::cpu
