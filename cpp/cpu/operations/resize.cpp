#include "cpu/operation.h"

namespace mpscnn::cpu {

void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::Resize &resize) {
    const Shape &input = builder.input_shape(fused), &output = builder.result_shape(fused);
    const ops::ResizeAxis vertical = resize.axis(input[1], output[1]);
    const ops::ResizeAxis horizontal = resize.axis(input[2], output[2]);
    ResizeTask task;
    task.kind = resize.kind == ops::ResizeKind::nearest ? ResizeKind::nearest : ResizeKind::bilinear;
    task.scale_y = vertical.scale;
    task.offset_y = vertical.offset;
    task.scale_x = horizontal.scale;
    task.offset_x = horizontal.offset;
    task.nearest_bias = resize.nearest_bias();
    task.round_to_half = fused.rounds;
    builder.begin(fused, task);
}

} // namespace mpscnn::cpu
