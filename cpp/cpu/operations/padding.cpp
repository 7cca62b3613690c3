#include "core/half.h"
#include "cpu/operation.h"

namespace mpscnn::cpu {

namespace {

PaddingMode mode_of(ops::PaddingMode mode) {
    switch (mode) {
    case ops::PaddingMode::clamp:
        return PaddingMode::clamp;
    case ops::PaddingMode::mirror:
        return PaddingMode::mirror;
    case ops::PaddingMode::mirror_with_edge:
        return PaddingMode::mirror_with_edge;
    case ops::PaddingMode::constant:
        break;
    }
    return PaddingMode::constant;
}

} // namespace

void lower(const OperationLowering &lowering, const ops::Padding &) {
    // Tensors of a float16 network hold halves only.
    const bool half = lowering.precision == engine::Precision::float16;
    auto &padding = std::get<ops::Padding>(lowering.fused.operation);
    if (half) padding.value = round_to_half(padding.value);
    if (padding.values.empty()) return;
    std::vector<float> values(padding.values.begin(), padding.values.end());
    if (half)
        for (float &value : values) value = round_to_half(value);
    lowering.fused.shift = padded_to_vectors(values);
}

void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::Padding &padding) {
    PaddingTask task;
    task.top = padding.top;
    task.left = padding.left;
    task.front = padding.front;
    task.mode = mode_of(padding.mode);
    task.value = padding.value;
    if (!padding.values.empty()) task.values = fused.shift.data();
    builder.begin(fused, task);
}

} // namespace mpscnn::cpu
