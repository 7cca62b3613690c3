#include "cpu/operation.h"

namespace mpscnn::cpu {

void lower(const OperationLowering &lowering, const ops::BatchNormalization &normalization) {
    const engine::Node &node = lowering.node;
    const std::vector<float> mean = node.weights.at("mean").values();
    const ops::ScaleShift exact = normalization.scale_and_shift(mean, node.weights.at("variance").values(),
                                                                node.weight_or("gamma", mean.size(), 1.0f),
                                                                node.weight_or("beta", mean.size(), 0.0f));
    lowering.fused.scale = padded_to_vectors({exact.scale.begin(), exact.scale.end()});
    lowering.fused.shift = padded_to_vectors({exact.shift.begin(), exact.shift.end()});
}

void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::BatchNormalization &) {
    AffineTask task;
    task.scale = fused.scale.data();
    task.shift = fused.shift.data();
    task.epilogue = epilogue_of(fused);
    builder.begin(fused, task);
}

} // namespace mpscnn::cpu
