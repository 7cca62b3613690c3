#include "metal/arrays/array_operations.h"
#include "shaders/array_multibox_params.h"

namespace mpscnn::metal {

namespace {

static_assert(sizeof(ArrayMultiboxParams) == 8 * sizeof(int));

/// The arrays of a detector's loss and its gradient. Some have one number for each anchor, others have a
/// single number.
struct Multibox {
    ArrayMultiboxParams params;
    std::int64_t images, anchors; ///< `anchors` is the number in all images together
    std::size_t boxes, errors, choice, count;
};

ArrayImage one_for_each(std::int64_t images, std::int64_t numbers) {
    return {static_cast<unsigned int>(images), 1, 1, static_cast<unsigned int>(numbers)};
}

Multibox add_choice(ArrayProgram &program, const ops::MultiboxFields &loss) {
    const Shape &prediction = program.shape(0);
    Multibox made{};
    made.params.anchors = static_cast<unsigned int>(prediction[1]);
    made.params.channels = static_cast<unsigned int>(prediction[2]);
    made.params.negative_ratio = loss.negative_ratio;
    made.params.min_negatives = static_cast<unsigned int>(loss.min_negatives);
    made.params.delta = loss.delta;
    made.params.box_weight = loss.box_weight;
    made.images = prediction[0];
    made.anchors = prediction[0] * prediction[1];
    made.boxes = program.add_scratch(made.anchors);
    made.errors = program.add_scratch(made.anchors);
    made.choice = program.add_scratch(made.anchors);
    made.count = program.add_scratch(1);
    const std::size_t of_images = program.add_scratch(made.images);
    program.add("array_multibox_boxes", made.params, {1, made.boxes}, made.anchors);
    program.add("array_multibox_errors", made.params, {0, 1, made.errors}, made.anchors);
    add_sum(program, made.boxes, one_for_each(made.images, prediction[1]), of_images,
            one_for_each(made.images, 1));
    add_sum(program, of_images, one_for_each(made.images, 1), made.count, one_for_each(1, 1));
    program.add("array_multibox_choice", made.params, {1, made.errors, made.boxes, of_images, made.choice},
                made.anchors);
    return made;
}

} // namespace

void make_program(ArrayProgram &program, const ops::MultiboxLoss &operation) {
    const Multibox made = add_choice(program, operation.loss);
    const std::size_t losses = program.add_scratch(made.anchors);
    program.add("array_multibox_loss", made.params,
                {0, 1, made.errors, made.boxes, made.choice, made.count, losses}, made.anchors);
    add_sum(program, losses, one_for_each(1, made.anchors), program.result(), one_for_each(1, 1));
}

void make_program(ArrayProgram &program, const ops::MultiboxLossGradient &operation) {
    const Multibox made = add_choice(program, operation.loss);
    program.add("array_multibox_gradient", made.params,
                {0, 1, made.boxes, made.choice, made.count, program.result()}, made.anchors);
}

} // namespace mpscnn::metal
