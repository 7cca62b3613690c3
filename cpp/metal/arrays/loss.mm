#include "metal/arrays/array_operations.h"
#include "shaders/array_loss_params.h"

namespace mpscnn::metal {

namespace {

static_assert(sizeof(ArrayLossParams) == 14 * sizeof(int));

ArrayLossKind kind_of(ops::LossKind kind) {
    switch (kind) {
    case ops::LossKind::mean_absolute_error:
        return ArrayLossKind::absolute;
    case ops::LossKind::mean_squared_error:
        return ArrayLossKind::squared;
    case ops::LossKind::softmax_cross_entropy:
        return ArrayLossKind::softmax;
    case ops::LossKind::sigmoid_cross_entropy:
        return ArrayLossKind::sigmoid;
    case ops::LossKind::categorical_cross_entropy:
        return ArrayLossKind::categorical;
    case ops::LossKind::hinge:
        return ArrayLossKind::hinge;
    case ops::LossKind::huber:
        return ArrayLossKind::huber;
    case ops::LossKind::cosine_distance:
        return ArrayLossKind::cosine;
    case ops::LossKind::log:
        return ArrayLossKind::log;
    case ops::LossKind::kullback_leibler:
        return ArrayLossKind::kullback_leibler;
    }
    return ArrayLossKind::squared;
}

ArrayLossParams loss_params(const ops::LossFields &loss, const ArrayProgram &program) {
    const Shape &prediction = program.shape(0);
    ArrayLossParams params{};
    params.channels = static_cast<unsigned int>(prediction.back());
    params.kind = kind_of(loss.kind);
    params.has_weights = program.operands().sources.size() == 3 ? 1 : 0;
    params.factor = loss.weight;
    params.kept = 1.0f;
    params.epsilon = loss.epsilon;
    params.delta = loss.delta;
    params.start = 1.0f / static_cast<float>(prediction.with_batch(1).elements());
    const bool is_softmax = loss.kind == ops::LossKind::softmax_cross_entropy;
    if (is_softmax || loss.kind == ops::LossKind::sigmoid_cross_entropy) {
        params.kept = 1.0f - loss.label_smoothing;
        params.share =
            loss.label_smoothing / (is_softmax ? static_cast<float>(loss.number_of_classes) : 2.0f);
    }
    return params;
}

/// Return the divisor of sums if weights are not counted.
float divisor_of(const ops::LossFields &loss, const Shape &prediction, bool counts_pixels) {
    const bool is_mean =
        loss.reduction != ops::LossReduction::none && loss.reduction != ops::LossReduction::sum;
    const std::int64_t images = loss.reduce_across_batch && is_mean ? prediction[0] : 1;
    return static_cast<float>(loss.divisor(prediction, counts_pixels) * images);
}

void add_elements(ArrayProgram &program, const ArrayLossParams &params, std::size_t to) {
    const Shape &prediction = program.shape(0);
    program.add("array_loss", params, {0, 1, params.has_weights != 0 ? std::size_t{2} : std::size_t{1}, to},
                prediction.elements() / prediction.back());
}

} // namespace

void make_program(ArrayProgram &program, const ops::Loss &operation) {
    const ops::LossFields &loss = operation.loss;
    ArrayLossParams params = loss_params(loss, program);
    if (loss.reduction == ops::LossReduction::none) return add_elements(program, params, program.result());
    const Shape &prediction = program.shape(0);
    const ArrayImage image = array_image(prediction);
    const ArrayImage kept{loss.reduce_across_batch ? 1 : image.images, 1, 1, 1};
    const std::size_t elements = program.add_scratch(prediction.elements());
    add_elements(program, params, elements);
    const bool counts =
        loss.reduction == ops::LossReduction::sum_by_nonzero_weights && params.has_weights != 0;
    if (!counts) {
        const float divisor = divisor_of(loss, prediction, operation.counts_pixels);
        return add_sum(program, elements, image, program.result(), kept, 1.0f / divisor);
    }
    const std::size_t sum = program.add_scratch(kept.images), count = program.add_scratch(kept.images);
    add_sum(program, elements, image, sum, kept);
    params.kind = ArrayLossKind::counted;
    params.counts_pixels = loss.joins_classes(operation.counts_pixels) ? 1 : 0;
    params.factor = 1.0f;
    add_elements(program, params, elements);
    add_sum(program, elements, image, count, kept);
    program.add("array_quotient", {sum, count, program.result()}, kept.images);
}

void make_program(ArrayProgram &program, const ops::LossGradient &operation) {
    ArrayLossParams params = loss_params(operation.loss, program);
    params.is_gradient = 1;
    if (operation.divides) params.factor /= divisor_of(operation.loss, program.shape(0), true);
    params.sums_labels = operation.divides && params.kind == ArrayLossKind::softmax ? 1 : 0;
    add_elements(program, params, program.result());
}

} // namespace mpscnn::metal
