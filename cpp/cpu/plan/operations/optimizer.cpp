#include <limits>
#include <utility>

#include "cpu/plan/operation.h"

namespace mpscnn::cpu {

namespace {

/// Add a step that computes the result from the first input and `count` more tensors of its shape. If there
/// are further inputs, such as learning rates or a factor, the step reads them too.
Step &add_update(StepBuilder &builder, const FusedOperation &fused, UpdateTask task, int count) {
    task.count = count;
    task.reads_numbers = fused.inputs.size() > static_cast<std::size_t>(count) + 1;
    return builder.begin_with_inputs(fused, task);
}

} // namespace

void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::OptimizerGradient &operation) {
    UpdateTask task;
    task.kind = UpdateKind::gradient;
    task.low = operation.clip ? operation.minimum : -std::numeric_limits<float>::infinity();
    task.high = operation.clip ? operation.maximum : std::numeric_limits<float>::infinity();
    task.rescale = operation.rescale;
    if (operation.regularization == ops::Regularization::l1) task.of_sign = operation.regularization_scale;
    if (operation.regularization == ops::Regularization::l2) task.of_weight = operation.regularization_scale;
    add_update(builder, fused, task, 1);
}

void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::MovingAverage &operation) {
    UpdateTask task;
    task.kind = operation.squares ? UpdateKind::squares : UpdateKind::moving_average;
    task.rate = static_cast<float>(operation.rate);
    task.rest = static_cast<float>(1.0 - operation.rate);
    add_update(builder, fused, task, 1);
}

void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::MomentumUpdate &operation) {
    UpdateTask task;
    task.kind = operation.nesterov ? UpdateKind::nesterov : UpdateKind::momentum;
    task.rate = operation.momentum;
    add_update(builder, fused, task, 1);
}

void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::SgdUpdate &operation) {
    UpdateTask task;
    task.rate = operation.momentum;
    task.decay = operation.weight_decay;
    if (fused.inputs.size() == 3) {
        add_update(builder, fused, task, 1);
        return;
    }
    task.kind = operation.nesterov ? UpdateKind::sgd_nesterov : UpdateKind::sgd_moment;
    Step &step = add_update(builder, fused, task, 2);
    std::swap(step.others[1], step.others[2]); // the kernel reads the rates last
}

void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::AdaptiveUpdate &operation) {
    UpdateTask task;
    task.kind = UpdateKind::adaptive;
    task.epsilon = operation.epsilon;
    task.decay = operation.weight_decay;
    add_update(builder, fused, task, 2);
}

} // namespace mpscnn::cpu
