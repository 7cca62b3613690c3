#include "cpu/operation.h"

namespace mpscnn::cpu {

void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::Addition &) {
    AdditionTask task;
    task.epilogue = epilogue_of(fused);
    builder.begin(fused, task).second = builder.placement().region(fused.inputs[1]);
}

} // namespace mpscnn::cpu
