#include "cpu/cost_model.h"
#include "cpu/operation.h"

namespace mpscnn::cpu {

namespace {

ResizePositions positions_of(const ops::ResizeAxis &axis) {
    return {axis.numerator, axis.denominator, axis.centre, axis.offset};
}

} // namespace

void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::Resize &resize) {
    const Shape &input = builder.input_shape(fused), &output = builder.result_shape(fused);
    ResizeTask task;
    // All between copies of one pixel is that pixel, even an infinite one.
    const bool copies = input[1] == 1 && input[2] == 1 && resize.edge == ops::EdgeRule::clamp;
    task.kind =
        resize.kind == ops::ResizeKind::nearest || copies ? ResizeKind::nearest : ResizeKind::bilinear;
    task.vertical = positions_of(resize.vertical(input[1], output[1]));
    task.horizontal = positions_of(resize.horizontal(input[2], output[2]));
    task.nearest_bias = resize.nearest_bias();
    task.zero_outside = resize.edge == ops::EdgeRule::zero;
    task.round_to_half = fused.rounds;
    // Little of so much is cached when it is read, unless that is at once: BoundTask looks where it lies.
    task.past_caches = task.kind == ResizeKind::bilinear &&
                       output.elements() * static_cast<std::int64_t>(sizeof(float)) > far_cache_bytes();
    builder.begin(fused, task);
}

} // namespace mpscnn::cpu
