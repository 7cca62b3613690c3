#include <algorithm>

#include "cpu/plan/algorithm.h"
#include "cpu/plan/bfloat16.h"
#include "cpu/plan/half_sums.h"
#include "cpu/plan/operation.h"

namespace mpscnn::cpu {

namespace {

template <class AnyView> void set_extents(AnyView &view, const Extents &extents) {
    view.batch = extents.batch;
    view.height = extents.height;
    view.width = extents.width;
    view.channels = extents.channels;
}

} // namespace

LayerWeights OperationLowering::layer_weights() const {
    return {node.weights.at("weight"), precision, node.name};
}

std::span<const float> OperationLowering::weights() const {
    const LayerWeights weights = layer_weights();
    return weights.read(0, static_cast<std::size_t>(weights.tensor.elements()), memory.own.unpacked);
}

std::vector<float> OperationLowering::bias(std::int64_t outputs) const {
    // Biases stay float32, as in MPSCNNConvolution.
    return node.weight_or("bias", static_cast<std::size_t>(outputs), 0.0f);
}

ConvolutionShape OperationLowering::fastest(const ops::Convolution &convolution, const Shape &weights,
                                            Element operands) const {
    return winograd && operands == Element::float32
               ? fastest_convolution(kernels, convolution, weights, result)
               : plain_convolution(kernels, weights, convolution.groups, operands);
}

PackedConvolution OperationLowering::pack(const Shape &shape, std::int64_t groups) const {
    const bool narrow =
        precision == engine::Precision::bfloat16 && has_bfloat16_kernel(node, shape, groups, fused.element);
    return pack(plain_convolution(kernels, shape, groups, narrow ? Element::bfloat16 : Element::float32));
}

PackedConvolution OperationLowering::pack(ConvolutionShape shape) const {
    const bool halves =
        precision == engine::Precision::float16 ||
        !node.weights.at("weight").ranges().empty(); // The values of weights with ranges are halves.
    shape.half_weights = halves && can_keep_halves(kernels, shape);
    const std::vector<float> biases = bias(shape.outputs);
    if (shape.algorithm == Algorithm::winograd)
        return kernels.pack_convolution(memory.packed, weights().data(), biases.data(), shape);
    PackedConvolution packed = unpacked_convolution(kernels, memory.packed, biases.data(), shape);
    if (!memory.slices.add(layer_weights(), shape, packed))
        pack_weights(kernels, shape, weights().data(), packed.weights.data(), memory.own);
    return packed;
}

namespace {

void lower_broadcast(const OperationLowering &lowering, const Shape &shape) {
    BroadcastInput &broadcast = *lowering.fused.broadcast;
    const std::span<const float> weights = lowering.weights();
    const std::int64_t outputs = shape[0], inputs = shape[3], others = inputs - broadcast.channels;
    // Split the weights into two matrices [outputs][inputs]: one for the broadcast pixel, one for the other
    // inputs.
    std::vector<float> split(weights.size());
    float *of_pixel = split.data(), *of_others = of_pixel + outputs * broadcast.channels;
    const float *const second = of_others;
    for (const float *row = weights.data(), *end = row + weights.size(); row != end; row += inputs) {
        of_pixel = std::copy_n(row, broadcast.channels, of_pixel);
        of_others = std::copy_n(row + broadcast.channels, others, of_others);
    }
    const auto pack = [&](const float *part, const float *bias, std::int64_t count) {
        return lowering.kernels.pack_convolution(
            lowering.memory.packed, part, bias,
            plain_convolution(lowering.kernels, {outputs, 1, 1, count}, 1));
    };
    broadcast.packed = pack(split.data(), lowering.bias(outputs).data(), broadcast.channels);
    lowering.fused.packed = pack(second, nullptr, others);
}

} // namespace

void lower(const OperationLowering &lowering, const ops::Convolution &convolution) {
    if (lowering.sums_in_halves)
        return lower_half_sums(lowering, lowering.node.weights.at("weight").shape(), convolution.groups);
    if (const auto weight = lowering.variable_shape("weight")) {
        const Element operands = product_element(lowering.precision, *weight, convolution.groups);
        lowering.fused.packed =
            lowering.kernels.packed_later(lowering.fastest(convolution, *weight, operands));
        return;
    }
    const Shape &weights = lowering.node.weights.at("weight").shape();
    if (lowering.fused.broadcast) return lower_broadcast(lowering, weights);
    lowering.fused.packed = lowering.precision == engine::Precision::bfloat16
                                ? lowering.pack(weights, convolution.groups)
                                : lowering.pack(lowering.fastest(convolution, weights));
}

ConvolutionTask convolution_task(const FusedOperation &fused, const std::vector<Shape> &shapes) {
    const Shape &input = shapes[static_cast<std::size_t>(fused.inputs[0])];
    const ops::Padding border = fused.border.value_or(ops::Padding{});
    const ops::CanonicalWindow window = fused.operation.as<ops::Convolution>().window.canonical(
        ops::Convolution::info, input[1] + border.top + border.bottom, input[2] + border.left + border.right);
    ConvolutionTask task;
    set_extents(task.source, extents_of(input));
    set_extents(task.destination, extents_of(shapes[static_cast<std::size_t>(fused.result)]));
    task.vertical = kernel_axis(window.vertical);
    task.horizontal = kernel_axis(window.horizontal);
    task.vertical.before += border.top;
    task.horizontal.before += border.left;
    task.packed = &fused.packed;
    task.gated = fused.gate.has_value();
    task.epilogue = epilogue_of(fused);
    return task;
}

namespace {

/// Add two steps. The first one multiplies the broadcast pixel by its weights, once. In the second one, the
/// sums of every pixel start with the results of the first.
void make_broadcast_steps(StepBuilder &builder, const FusedOperation &fused, ConvolutionTask task) {
    const BroadcastInput &broadcast = *fused.broadcast;
    const Region sums =
        builder.add_workspace({task.destination.batch, 1, 1, task.destination.channels}, fused.element);
    ConvolutionTask of_pixel;
    of_pixel.packed = &broadcast.packed;
    Step &first = builder.begin(fused, of_pixel);
    first.layers.resize(1);
    first.source = builder.placement().region(broadcast.value);
    first.destination = sums;

    task.continues = true;
    task.source.channels -= broadcast.channels;
    Step &second = builder.begin(fused, task);
    second.layers.erase(second.layers.begin());
    second.source.channel += broadcast.channels;
    second.source.extents.channels -= broadcast.channels;
    second.others = {sums};
}

/// Add a step that packs weights that are tensors, and the convolution after it. Return the convolution's
/// step.
Step &add_variable_steps(StepBuilder &builder, const FusedOperation &fused, ConvolutionTask task) {
    PackTask pack;
    pack.has_bias = fused.variables.count("bias") > 0;
    Step &first = begin_packing(builder, fused, pack, fused.packed);
    first.source = builder.placement().region(fused.variables.at("weight"));
    first.others.clear();
    if (pack.has_bias) first.others.push_back(builder.placement().region(fused.variables.at("bias")));
    const Region ready = first.destination;

    task.reads_variables = true;
    Step &second = builder.begin(fused, task);
    second.others.push_back(ready);
    return second;
}

} // namespace

Step &begin_packing(StepBuilder &builder, const FusedOperation &fused, PackTask task,
                    const PackedConvolution &packed) {
    const auto size = [](const WeightBuffer &buffer) { return static_cast<std::int64_t>(buffer.size()); };
    task.shape = packed;
    task.weights_size = size(packed.weights);
    task.bias_size = size(packed.bias);
    const std::int64_t plain = packed.plain ? size(packed.plain->weights) : 0;
    const Region ready = builder.add_workspace({1, 1, 1, task.weights_size + task.bias_size + plain});
    Step &step = builder.begin(fused, task);
    step.destination = ready;
    return step;
}

void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::Convolution &) {
    const ConvolutionTask task = convolution_task(fused, builder.shapes());
    if (fused.half_sums) {
        begin_half_sums(builder, fused, task);
        return;
    }
    if (fused.broadcast) return make_broadcast_steps(builder, fused, task);
    if (!fused.variables.empty()) {
        add_variable_steps(builder, fused, task);
        return;
    }
    Step &step = builder.begin(fused, task);
    if (fused.gate) step.others.push_back(builder.placement().region(*fused.gate));
}

void make_chain_step(StepBuilder &builder, const LoweredNetwork &network, const Chain &chain) {
    ChainTask task;
    task.count = static_cast<std::int64_t>(chain.operations.size());
    task.band_rows = chain.cut.band_rows;
    task.panel_channels = chain.cut.panel_channels;
    std::vector<ConvolutionTask> stages;
    std::vector<std::string> layers;
    std::vector<Region> residuals;
    for (std::size_t operation : chain.operations) {
        const FusedOperation &fused = network.operations[operation];
        stages.push_back(convolution_task(fused, builder.shapes()));
        layers.insert(layers.end(), fused.layers.begin(), fused.layers.end());
        if (!fused.residual) continue;
        task.has_residual[stages.size() - 1] = true;
        residuals.push_back(builder.placement().region(*fused.residual));
    }
    Step &step = builder.begin(network.operations[chain.operations.back()], task);
    step.layers = std::move(layers);
    step.source = builder.placement().region(network.operations[chain.operations.front()].inputs[0]);
    step.others = std::move(residuals);
    step.stages = std::move(stages);
}

void lower(const OperationLowering &lowering, const ops::FullyConnected &) {
    // A dense layer is a 1x1 convolution of a single pixel whose channels are all of its inputs.
    if (const auto weight = lowering.variable_shape("weight")) {
        const Shape pointwise{(*weight)[0], 1, 1, weight->elements() / (*weight)[0]};
        const Element operands = product_element(lowering.precision, pointwise, 1);
        lowering.fused.packed =
            lowering.kernels.packed_later(plain_convolution(lowering.kernels, pointwise, 1, operands));
        return;
    }
    const Shape &shape = lowering.node.weights.at("weight").shape();
    const Shape pointwise{shape[0], 1, 1, shape.elements() / shape[0]};
    if (lowering.sums_in_halves) return lower_half_sums(lowering, pointwise, 1);
    lowering.fused.packed = lowering.pack(pointwise, 1);
}

void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::FullyConnected &) {
    ConvolutionTask task;
    task.packed = &fused.packed;
    task.epilogue = epilogue_of(fused);
    Step &step = fused.half_sums           ? begin_half_sums(builder, fused, task)
                 : fused.variables.empty() ? builder.begin(fused, task)
                                           : add_variable_steps(builder, fused, task);
    Region &source = step.source;
    const Extents &image = source.extents;
    source.extents = source.whole = {image.batch, 1, 1, image.pixels() * image.channels};
}

} // namespace mpscnn::cpu
