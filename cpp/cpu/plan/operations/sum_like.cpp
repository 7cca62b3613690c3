#include "cpu/plan/operation.h"

namespace mpscnn::cpu {

void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::SumLike &) {
    const Extents from = extents_of(builder.input_shape(fused)), to = extents_of(builder.result_shape(fused));
    if (from.batch == 1 || to.batch == from.batch || from.pixels() == to.pixels()) {
        builder.begin(fused, SumTask{});
        return;
    }
    // Each image first, so that there is work for all threads.
    const Region images = builder.add_workspace({from.batch, to.height, to.width, to.channels});
    builder.begin(fused, SumTask{}).destination = images;
    builder.begin(fused, SumTask{}).source = images;
}

} // namespace mpscnn::cpu
