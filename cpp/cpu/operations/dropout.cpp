#include "cpu/operation.h"

namespace mpscnn::cpu {

void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::Dropout &dropout) {
    if (!dropout.training) {
        AffineTask copy;
        copy.epilogue = epilogue_of(fused);
        builder.begin(fused, copy);
        return;
    }
    DropoutTask task;
    task.seed = static_cast<std::uint64_t>(dropout.seed);
    task.last_kept = dropout.last_kept();
    task.scale = static_cast<float>(1.0 / static_cast<double>(dropout.keep_probability));
    task.varies_y = dropout.mask_stride_y == 1;
    task.varies_x = dropout.mask_stride_x == 1;
    task.varies_channels = dropout.mask_stride_channels == 1;
    task.round_to_half = fused.rounds;
    builder.begin(fused, task);
}

} // namespace mpscnn::cpu
