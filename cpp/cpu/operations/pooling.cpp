#include "cpu/operation.h"

namespace mpscnn::cpu {

void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::Pooling &pooling) {
    const Shape &input = builder.input_shape(fused);
    const ops::CanonicalWindow window = pooling.canonical(input[1], input[2]);
    PoolingTask task;
    task.kind = pooling.kind == ops::PoolingKind::max ? PoolingKind::max : PoolingKind::average;
    task.vertical = kernel_axis(window.vertical);
    task.horizontal = kernel_axis(window.horizontal);
    if (pooling.count_padding) {
        task.counted_before_y = window.vertical.before;
        task.counted_after_y = window.vertical.padding_after;
        task.counted_before_x = window.horizontal.before;
        task.counted_after_x = window.horizontal.padding_after;
    }
    task.epilogue = epilogue_of(fused);
    builder.begin(fused, task);
}

} // namespace mpscnn::cpu
