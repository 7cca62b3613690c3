#include "cpu/plan/operation.h"

namespace mpscnn::cpu {

namespace {

/// The numbers of pixels outside the image, at the start and the end of an axis, that count in an average.
struct Counted {
    std::int64_t before, after;
};

Counted counted(const ops::Pooling &pooling, const ops::WindowAxis &axis, std::int64_t zero_pad) {
    if (pooling.edge == ops::EdgeRule::zero) return {axis.before, axis.after};
    if (pooling.count_padding) return {axis.before, axis.padding_after};
    return {zero_pad, zero_pad};
}

} // namespace

PoolingTask pooling_task(const ops::Pooling &pooling, const Shape &input) {
    const ops::CanonicalWindow window = pooling.canonical(input[1], input[2]);
    const Counted rows = counted(pooling, window.vertical, pooling.zero_pad_y);
    const Counted columns = counted(pooling, window.horizontal, pooling.zero_pad_x);
    PoolingTask task;
    task.kind = pooling.kind;
    task.vertical = kernel_axis(window.vertical);
    task.horizontal = kernel_axis(window.horizontal);
    task.edge = pooling.edge;
    task.counted_before_y = rows.before;
    task.counted_after_y = rows.after;
    task.counted_before_x = columns.before;
    task.counted_after_x = columns.after;
    return task;
}

void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::Pooling &pooling) {
    PoolingTask task = pooling_task(pooling, builder.input_shape(fused));
    task.epilogue = epilogue_of(fused);
    builder.begin(fused, task);
}

void make_pooled_step(StepBuilder &builder, const LoweredNetwork &network, const Chain &chain) {
    const FusedOperation &convolution = network.operations[chain.operations[0]];
    const FusedOperation &pooling = network.operations[chain.operations[1]];
    PooledConvolutionTask task;
    task.convolution = convolution_task(convolution, builder.shapes());
    task.pooling = pooling_task(pooling.operation.as<ops::Pooling>(), builder.input_shape(pooling));
    task.pooling.epilogue = epilogue_of(pooling);
    task.pool = network.kernels->kernel<PoolingTask>();
    Step &step = builder.begin(pooling, task);
    step.layers = convolution.layers;
    step.layers.insert(step.layers.end(), pooling.layers.begin(), pooling.layers.end());
    step.source = builder.placement().region(convolution.inputs[0]);
}

} // namespace mpscnn::cpu
