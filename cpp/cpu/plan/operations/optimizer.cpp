#include <cstddef>
#include <limits>
#include <vector>

#include "cpu/plan/operation.h"

namespace mpscnn::cpu {

namespace {

/// From the first input to the result, with others of its shape and then the rates or a factor, if any.
void add_update(StepBuilder &builder, const FusedOperation &fused, UpdateTask task,
                const std::vector<std::size_t> &others, std::size_t numbers = 0) {
    const auto region = [&](std::size_t i) { return builder.placement().region(fused.inputs[i]); };
    task.count = static_cast<int>(others.size());
    task.reads_numbers = numbers > 0;
    Step &step = builder.begin(fused, task);
    for (const std::size_t i : others) step.others.push_back(region(i));
    if (numbers > 0) step.others.push_back(region(numbers));
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
    add_update(builder, fused, task, {1}, fused.inputs.size() == 3 ? 2 : 0);
}

void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::MovingAverage &operation) {
    UpdateTask task;
    task.kind = operation.squares ? UpdateKind::squares : UpdateKind::moving_average;
    task.rate = static_cast<float>(operation.rate);
    task.rest = static_cast<float>(1.0 - operation.rate);
    add_update(builder, fused, task, {1});
}

void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::MomentumUpdate &operation) {
    UpdateTask task;
    task.kind = operation.nesterov ? UpdateKind::nesterov : UpdateKind::momentum;
    task.rate = operation.momentum;
    add_update(builder, fused, task, {1}, 2);
}

void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::SgdUpdate &operation) {
    UpdateTask task;
    task.rate = operation.momentum;
    task.decay = operation.weight_decay;
    if (fused.inputs.size() == 3) return add_update(builder, fused, task, {1}, 2);
    task.kind = operation.nesterov ? UpdateKind::sgd_nesterov : UpdateKind::sgd_moment;
    add_update(builder, fused, task, {1, 3}, 2);
}

void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::AdaptiveUpdate &operation) {
    UpdateTask task;
    task.kind = UpdateKind::adaptive;
    task.epsilon = operation.epsilon;
    task.decay = operation.weight_decay;
    add_update(builder, fused, task, {1, 2}, 3);
}

} // namespace mpscnn::cpu
