#include "cpu/operation.h"

namespace mpscnn::cpu {

void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::Softmax &) {
    SoftmaxTask task;
    task.round_to_half = fused.rounds;
    builder.begin(fused, task);
}

void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::LogSoftmax &) {
    SoftmaxTask task;
    task.round_to_half = fused.rounds;
    task.logarithm = true;
    builder.begin(fused, task);
}

} // namespace mpscnn::cpu
