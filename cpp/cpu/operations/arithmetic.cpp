#include <limits>

#include "cpu/operation.h"

namespace mpscnn::cpu {

void make_arithmetic_step(StepBuilder &builder, const FusedOperation &fused,
                          const ops::Arithmetic &arithmetic, ops::ArithmeticKind kind) {
    ArithmeticTask task;
    task.epilogue = epilogue_of(fused);
    task.kind = kind;
    task.source_steps = {arithmetic.primary_stride_y, arithmetic.primary_stride_x,
                         arithmetic.primary_stride_channels};
    task.second_steps = {arithmetic.secondary_stride_y, arithmetic.secondary_stride_x,
                         arithmetic.secondary_stride_channels};
    task.source_scale = arithmetic.primary_scale;
    task.second_scale = arithmetic.secondary_scale;
    task.bias = arithmetic.bias;
    constexpr float infinity = std::numeric_limits<float>::infinity();
    task.low = arithmetic.has_minimum() ? arithmetic.minimum : -infinity;
    task.high = arithmetic.has_maximum() ? arithmetic.maximum : infinity;
    task.scaled = task.source_scale != 1.0f || task.second_scale != 1.0f || task.bias != 0.0f ||
                  arithmetic.has_minimum() || arithmetic.has_maximum();
    builder.begin(fused, task).others = {builder.placement().region(fused.inputs[1])};
}

} // namespace mpscnn::cpu
