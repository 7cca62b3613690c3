#include "core/half.h"
#include "cpu/operation.h"

namespace mpscnn::cpu {

void lower(const OperationLowering &lowering, const ops::Padding &) {
    // Tensors of a float16 network hold halves only.
    auto &padding = std::get<ops::Padding>(lowering.fused.operation);
    if (lowering.precision == engine::Precision::float16) padding.value = round_to_half(padding.value);
}

void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::Padding &padding) {
    PaddingTask task;
    task.top = padding.top;
    task.left = padding.left;
    task.front = padding.front;
    task.value = padding.value;
    builder.begin(fused, task);
}

} // namespace mpscnn::cpu
