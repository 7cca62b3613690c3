#include <limits>

#include "cpu/plan/operation.h"

namespace mpscnn::cpu {

namespace {

ElementLoss element_loss(ops::LossKind kind) {
    switch (kind) {
    case ops::LossKind::mean_absolute_error:
        return ElementLoss::absolute;
    case ops::LossKind::mean_squared_error:
        return ElementLoss::squared;
    case ops::LossKind::softmax_cross_entropy:
        return ElementLoss::softmax;
    case ops::LossKind::sigmoid_cross_entropy:
        return ElementLoss::sigmoid;
    case ops::LossKind::categorical_cross_entropy:
        return ElementLoss::categorical;
    case ops::LossKind::hinge:
        return ElementLoss::hinge;
    case ops::LossKind::huber:
        return ElementLoss::huber;
    case ops::LossKind::cosine_distance:
        return ElementLoss::cosine;
    case ops::LossKind::log:
        return ElementLoss::log;
    case ops::LossKind::kullback_leibler:
        break;
    }
    return ElementLoss::kullback_leibler;
}

LossTask loss_task(const ops::LossFields &loss, const Shape &prediction) {
    LossTask task;
    task.kind = element_loss(loss.kind);
    task.factor = loss.weight;
    task.epsilon = loss.epsilon;
    task.delta = loss.delta;
    const bool smooths = loss.kind == ops::LossKind::softmax_cross_entropy ||
                         loss.kind == ops::LossKind::sigmoid_cross_entropy;
    if (smooths) {
        const float classes = loss.kind == ops::LossKind::softmax_cross_entropy
                                  ? static_cast<float>(loss.number_of_classes)
                                  : 2.0f;
        task.kept = 1.0f - loss.label_smoothing;
        task.share = loss.label_smoothing / classes;
    }
    const Extents extents = extents_of(prediction);
    task.start = 1.0f / static_cast<float>(extents.pixels() * extents.channels);
    return task;
}

/// Return the divisor of the losses' sum for reductions that do not divide by the number of weights.
float divisor_of(const ops::LossFields &loss, const Shape &prediction, bool counts_pixels) {
    const std::int64_t images = loss.reduce_across_batch && loss.reduction != ops::LossReduction::none &&
                                        loss.reduction != ops::LossReduction::sum
                                    ? prediction[0]
                                    : 1;
    return static_cast<float>(loss.divisor(prediction, counts_pixels) * images);
}

/// Add a step that computes a loss from `prediction`, labels and weights. `prediction` is the operation's
/// first input, or a tensor computed from it, such as its softmax.
Step &add_loss(StepBuilder &builder, const FusedOperation &fused, LossTask task, const Region &prediction) {
    task.has_weights = fused.inputs.size() == 3;
    Step &step = builder.begin_with_inputs(fused, task);
    step.source = prediction;
    if (!task.has_weights)
        // The kernel expects a tensor here but does not use it.
        step.others.push_back(builder.input(fused, 1));
    return step;
}

/// Return the prediction. For cross entropy, add a step and return its softmax or log-softmax.
Region prediction_of(StepBuilder &builder, const FusedOperation &fused, ops::LossKind kind, bool logarithm) {
    const Region given = builder.input(fused, 0);
    if (kind != ops::LossKind::softmax_cross_entropy) return given;
    const Region softmax = builder.add_workspace(extents_of(builder.input_shape(fused)));
    SoftmaxTask task;
    task.logarithm = logarithm;
    builder.begin(fused, task).destination = softmax;
    return softmax;
}

/// Add another step to the operation, from `source` to `destination`.
Step &add_step(StepBuilder &builder, const FusedOperation &fused, Task task, const Region &source,
               const Region &destination) {
    Step &step = builder.begin(fused, std::move(task));
    step.source = source;
    step.destination = destination;
    return step;
}

/// Add a step that reduces the channels of each pixel of `source` to one. Return its result.
Region reduced_channels(StepBuilder &builder, const FusedOperation &fused, ReductionKind kind,
                        const Region &source) {
    Extents pixels = extents_of(builder.input_shape(fused));
    pixels.channels = 1;
    ReductionTask task;
    task.kind = kind;
    const Region result = builder.add_workspace(pixels);
    add_step(builder, fused, task, source, result);
    return result;
}

/// Add steps that count the weights other than 0. Return the count, or 1 if it is 0.
Region count_of_weights(StepBuilder &builder, const FusedOperation &fused, LossTask task,
                        bool joins_classes) {
    const Extents result = extents_of(builder.result_shape(fused));
    Region counted = builder.add_workspace(extents_of(builder.input_shape(fused)));
    task.kind = ElementLoss::counted;
    task.factor = 1.0f;
    add_loss(builder, fused, task, builder.input(fused, 0)).destination = counted;
    if (joins_classes) counted = reduced_channels(builder, fused, ReductionKind::max, counted);
    const Region count = builder.add_workspace(result), limited = builder.add_workspace(result);
    add_step(builder, fused, SumTask{}, counted, count);
    ArithmeticTask limit;
    limit.kind = ArithmeticKind::add;
    limit.scaled = true;
    limit.second_scale = 0.0f;
    limit.low = 1.0f;
    limit.high = std::numeric_limits<float>::max();
    add_step(builder, fused, limit, count, limited).others = {count};
    return limited;
}

/// Add steps for the derivative of cross entropy. For each pixel it is softmax times the sum of the weighted
/// labels, minus the weighted labels.
void add_cross_entropy_derivative(StepBuilder &builder, const FusedOperation &fused, LossTask task) {
    const Extents extents = extents_of(builder.input_shape(fused));
    const Region softmax = prediction_of(builder, fused, ops::LossKind::softmax_cross_entropy, false);
    const Region labels = builder.add_workspace(extents), product = builder.add_workspace(extents);
    LossTask weighted = task;
    weighted.kind = ElementLoss::label;
    weighted.factor = 1.0f;
    add_loss(builder, fused, weighted, softmax).destination = labels;
    const Region sums = reduced_channels(builder, fused, ReductionKind::sum, labels);
    ArithmeticTask multiply;
    multiply.kind = ArithmeticKind::multiply;
    multiply.second_steps.channels = 0;
    add_step(builder, fused, multiply, softmax, product).others = {sums};
    task.kept = 1.0f;
    task.share = 0.0f;
    Step &last = builder.begin(fused, task);
    last.source = product;
    last.others = {labels, labels};
}

} // namespace

void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::Loss &operation) {
    const ops::LossFields &loss = operation.loss;
    const Shape &prediction = builder.input_shape(fused);
    const Region source = prediction_of(builder, fused, loss.kind, true);
    LossTask task = loss_task(loss, prediction);
    if (loss.reduction == ops::LossReduction::none) {
        add_loss(builder, fused, task, source);
        return;
    }
    const bool counts =
        loss.reduction == ops::LossReduction::sum_by_nonzero_weights && fused.inputs.size() == 3;
    if (!counts) task.factor /= divisor_of(loss, prediction, operation.counts_pixels);
    const Region elements = builder.add_workspace(extents_of(prediction));
    add_loss(builder, fused, task, source).destination = elements;
    if (!counts) {
        builder.begin(fused, SumTask{}).source = elements;
        return;
    }
    const Region sum = builder.add_workspace(extents_of(builder.result_shape(fused)));
    add_step(builder, fused, SumTask{}, elements, sum);
    const Region count = count_of_weights(builder, fused, task, loss.joins_classes(operation.counts_pixels));
    ArithmeticTask quotient;
    quotient.kind = ArithmeticKind::divide;
    Step &last = builder.begin(fused, quotient);
    last.source = sum;
    last.others = {count};
}

void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::LossGradient &operation) {
    const ops::LossFields &loss = operation.loss;
    const Shape &prediction = builder.input_shape(fused);
    LossTask task = loss_task(loss, prediction);
    task.is_gradient = true;
    if (operation.divides) task.factor /= divisor_of(loss, prediction, true);
    if (operation.divides && loss.kind == ops::LossKind::softmax_cross_entropy)
        return add_cross_entropy_derivative(builder, fused, task);
    add_loss(builder, fused, task, prediction_of(builder, fused, loss.kind, false));
}

} // namespace mpscnn::cpu
