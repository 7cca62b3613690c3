#include "core/half.h"
#include "cpu/plan/operation.h"

namespace mpscnn::cpu {

void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::Slice &slice) {
    const Placement &placement = builder.placement();
    const Shape &input = builder.input_shape(fused);
    if (slice.is_view()) {
        const Region source =
            sliced(slice, placement.region(fused.inputs[0]), input, builder.result_shape(fused));
        const Region &destination = placement.region(fused.result);
        if (!(source == destination)) builder.add_copy(fused.layers, source, destination);
        return;
    }
    const ops::Slice::Origin origin = slice.origin(input);
    TakeTask task;
    task.rows = {.first = origin.row, .step = slice.stride_y};
    task.columns = {.first = origin.column, .step = slice.stride_x};
    task.channels = {.first = origin.channel, .step = slice.stride_channels};
    builder.begin(fused, task);
}

void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::Gather &gather) {
    const Shape &input = builder.input_shape(fused);
    const int from_end = input.rank() - gather.positive_axis(input);
    TakeTask task;
    TakenPositions &positions = from_end == 1 ? task.channels : from_end == 2 ? task.columns : task.rows;
    positions.indices = gather.indices.data(); // owned by the lowered network, which the plan keeps alive
    builder.begin(fused, task);
}

void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::TakeAlongAxis &taken) {
    const Shape &input = builder.input_shape(fused);
    const int from_end = input.rank() - taken.positive_axis(input);
    using Axis = TakeAlongTask::Axis;
    TakeAlongTask task;
    task.axis = from_end == 1 ? Axis::channels : from_end == 2 ? Axis::columns : Axis::rows;
    builder.begin_with_inputs(fused, task);
}

void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::GatherGradient &gradient) {
    const Shape &input = builder.input_shape(fused);
    const int from_end = input.rank() - gradient.gather.positive_axis(input);
    using Axis = TakeGradientTask::Axis;
    TakeGradientTask task;
    task.axis = from_end == 1 ? Axis::channels : from_end == 2 ? Axis::columns : Axis::rows;
    task.indices = gradient.gather.indices.data(); // owned by the lowered network, which the plan keeps alive
    builder.begin(fused, task);
}

void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::Tile &) {
    const Extents input = extents_of(builder.input_shape(fused));
    TakeTask task;
    task.rows.period = input.height;
    task.columns.period = input.width;
    task.channels.period = input.channels;
    builder.begin(fused, task);
}

AlignedBuffer<float> constant_values(const engine::Node &node, engine::Precision precision) {
    std::vector<float> values = node.weights.at("value").values();
    if (precision == engine::Precision::float16)
        for (float &value : values) value = round_to_half(value);
    return padded_to_vectors(values);
}

void lower(const OperationLowering &lowering, const ops::Constant &) {
    lowering.fused.constant = constant_values(lowering.node, lowering.precision);
}

void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::Constant &) {
    ConstantTask task;
    task.values = fused.constant.data();
    builder.begin(fused, task);
}

} // namespace mpscnn::cpu
