#include "cpu/plan/operation.h"

namespace mpscnn::cpu {

void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::Transpose &transpose) {
    const Shape &input = builder.input_shape(fused);
    TransposeTask task;
    task.count = input.rank() - 1;
    for (int axis = 0; axis < task.count; ++axis) {
        task.extents[axis] = input[axis + 1];
        task.axes[axis] = static_cast<int>(transpose.axes[static_cast<std::size_t>(axis)]) - 1;
    }
    builder.begin(fused, task);
}

void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::ChannelShuffle &shuffle) {
    if (fused.inputs.size() == 2) { // the operands of a concatenation
        builder.begin(fused, InterleaveTask{}).others = {builder.placement().region(fused.inputs[1])};
        return;
    }
    TransposeTask task;
    task.groups = shuffle.groups;
    builder.begin(fused, task);
}

} // namespace mpscnn::cpu
