#include "metal/arrays/array_operations.h"
#include "metal/layers/dropout.h"
#include "metal/layers/neuron.h"
#include "shaders/array_dropout_params.h"
#include "shaders/array_neuron_params.h"
#include "shaders/array_softmax_params.h"

namespace mpscnn::metal {

static_assert(sizeof(ArrayDropoutParams) == 14 * sizeof(int));
static_assert(sizeof(ArrayNeuronParams) == 8 * sizeof(int) && sizeof(ArraySoftmaxParams) == 4 * sizeof(int));

void make_program(ArrayProgram &program, const ops::NeuronGradient &operation) {
    const Shape &shape = program.operands().result.shape;
    const Activation activation = activation_of(operation.neuron);
    const ArrayNeuronParams params{{},
                                   static_cast<unsigned int>(shape.elements()),
                                   static_cast<unsigned int>(shape.back()),
                                   operation.from_result ? 1 : 0,
                                   activation.params};
    const std::size_t slopes = program.operands().sources.size() == 3 ? 2 : 1;
    program.add("array_neuron_gradient", params, {0, 1, slopes, program.result()}, (shape.elements() + 3) / 4)
        .activation = activation.kind;
}

void make_program(ArrayProgram &program, const ops::StepDropout &operation) {
    const ArrayImage image = array_image(program.shape(0));
    ops::Dropout dropout = operation.dropout;
    dropout.training = true; // step_dropout is only used in training
    const DropoutMask mask(dropout, image.width, image.height, image.channels);
    const std::int64_t elements = program.shape(0).elements();
    const ArrayDropoutParams params{{},
                                    static_cast<unsigned int>(elements),
                                    image,
                                    mask.width,
                                    mask.height,
                                    mask.channels,
                                    mask.seed_low,
                                    mask.seed_high,
                                    mask.last_kept,
                                    mask.factor};
    program.add("array_step_dropout", params, {0, 1, program.result()}, (elements + 3) / 4);
}

void make_program(ArrayProgram &program, const ops::SoftmaxGradient &operation) {
    const Shape &shape = program.operands().result.shape;
    const ArraySoftmaxParams params{{}, static_cast<unsigned int>(shape.back()), operation.logarithm ? 1 : 0};
    program.add("array_softmax_gradient", params, {0, 1, program.result()}, shape.elements() / shape.back());
}

} // namespace mpscnn::metal
