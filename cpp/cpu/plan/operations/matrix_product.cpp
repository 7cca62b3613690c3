#include "cpu/plan/operation.h"

namespace mpscnn::cpu {

void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::MatrixProduct &product) {
    MatrixProductTask task;
    task.transpose_source = product.transpose_first;
    task.transpose_second = product.transpose_second;
    task.scale = product.scale;
    task.epilogue = epilogue_of(fused);
    builder.begin(fused, task).others = {builder.placement().region(fused.inputs[1])};
}

} // namespace mpscnn::cpu
