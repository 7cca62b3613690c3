#include "cpu/plan/operation.h"

namespace mpscnn::cpu {

namespace {

void add_sum(StepBuilder &builder, const FusedOperation &fused, bool squares) {
    const Extents from = extents_of(builder.input_shape(fused)), to = extents_of(builder.result_shape(fused));
    SumTask task;
    task.squares = squares;
    // If there are enough channels, threads divide them among themselves.
    const bool keeps_channels = to.channels == from.channels && to.channels > 1;
    const bool is_even = from.pixels() == to.pixels() && keeps_channels;
    if (from.batch == 1 || to.batch == from.batch || is_even) {
        builder.begin(fused, task);
        return;
    }
    // Sum each image in a first step, so that all threads have work.
    const Region images = builder.add_workspace({from.batch, to.height, to.width, to.channels});
    builder.begin(fused, task).destination = images;
    builder.begin(fused, SumTask{}).source = images;
}

} // namespace

void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::SumLike &) {
    add_sum(builder, fused, false);
}

void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::SquaredSum &) {
    add_sum(builder, fused, true);
}

} // namespace mpscnn::cpu
