#include "cpu/plan/operation.h"

namespace mpscnn::cpu {

namespace {

/// Add the steps that a multibox loss and its gradient have in common: logarithms of class probabilities, the
/// anchors that count, and their number. Return the labels and the results of these steps.
std::vector<Region> add_choice(StepBuilder &builder, const FusedOperation &fused,
                               const ops::MultiboxFields &loss) {
    Region classes = builder.input(fused, 0);
    const Region labels = builder.input(fused, 1);
    classes.channel += ops::MultiboxFields::box_numbers;
    classes.extents.channels -= ops::MultiboxFields::box_numbers;
    const Extents anchors = classes.extents;
    const Region logarithms = builder.add_workspace(anchors);
    SoftmaxTask softmax;
    softmax.logarithm = true;
    Step &probabilities = builder.begin(fused, softmax);
    probabilities.source = classes;
    probabilities.destination = logarithms;

    const Region choice = builder.add_workspace({anchors.batch, anchors.height, anchors.width, 2});
    MultiboxChoiceTask task;
    task.negative_ratio = loss.negative_ratio;
    task.min_negatives = loss.min_negatives;
    Step &chosen = builder.begin(fused, task);
    chosen.source = logarithms;
    chosen.others = {labels};
    chosen.destination = choice;

    const Region count = builder.add_workspace({1, 1, 1, 2});
    Step &counted = builder.begin(fused, SumTask{});
    counted.source = choice;
    counted.destination = count;
    return {labels, logarithms, choice, count};
}

MultiboxTask multibox_task(const ops::MultiboxFields &loss, bool is_gradient) {
    MultiboxTask task;
    task.delta = loss.delta;
    task.box_weight = loss.box_weight;
    task.is_gradient = is_gradient;
    return task;
}

} // namespace

void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::MultiboxLoss &operation) {
    std::vector<Region> others = add_choice(builder, fused, operation.loss);
    Extents anchors = extents_of(builder.input_shape(fused));
    anchors.channels = 1;
    const Region losses = builder.add_workspace(anchors);
    Step &step = builder.begin(fused, multibox_task(operation.loss, false));
    step.others = std::move(others);
    step.destination = losses;
    builder.begin(fused, SumTask{}).source = losses;
}

void make_step(StepBuilder &builder, const FusedOperation &fused,
               const ops::MultiboxLossGradient &operation) {
    std::vector<Region> others = add_choice(builder, fused, operation.loss);
    builder.begin(fused, multibox_task(operation.loss, true)).others = std::move(others);
}

} // namespace mpscnn::cpu
