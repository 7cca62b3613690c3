#include <limits>

#include "metal/arrays/array_operations.h"
#include "shaders/array_update_params.h"

namespace mpscnn::metal {

namespace {

static_assert(sizeof(ArrayUpdateParams) == 13 * sizeof(int));

ArrayUpdateParams update_params(ArrayUpdateKind kind) {
    ArrayUpdateParams params{};
    params.kind = kind;
    params.rescale = 1.0f;
    return params;
}

/// Add an optimiser's update, which reads the first two sources, the source `third` and the source `numbers`.
/// If an update does not have one of these sources, pass the index of any other source, which the kernel
/// ignores.
void add_update(ArrayProgram &program, const ArrayUpdateParams &params, std::size_t third,
                std::size_t numbers) {
    program.add("array_update", params, {0, 1, third, numbers, program.result()},
                program.operands().result.shape.elements());
}

} // namespace

void make_program(ArrayProgram &program, const ops::OptimizerGradient &operation) {
    ArrayUpdateParams params = update_params(ArrayUpdateKind::gradient);
    constexpr float infinity = std::numeric_limits<float>::infinity();
    params.low = operation.clip ? operation.minimum : -infinity;
    params.high = operation.clip ? operation.maximum : infinity;
    params.rescale = operation.rescale;
    if (operation.regularization == ops::Regularization::l1) params.of_sign = operation.regularization_scale;
    if (operation.regularization == ops::Regularization::l2)
        params.of_weight = operation.regularization_scale;
    params.has_factor = program.operands().sources.size() == 3 ? 1 : 0;
    add_update(program, params, 0, params.has_factor != 0 ? 2 : 0);
}

void make_program(ArrayProgram &program, const ops::MovingAverage &operation) {
    ArrayUpdateParams params =
        update_params(operation.squares ? ArrayUpdateKind::squares : ArrayUpdateKind::moving_average);
    params.rate = static_cast<float>(operation.rate);
    params.rest = static_cast<float>(1.0 - operation.rate);
    add_update(program, params, 0, 0);
}

void make_program(ArrayProgram &program, const ops::MomentumUpdate &operation) {
    ArrayUpdateParams params =
        update_params(operation.nesterov ? ArrayUpdateKind::nesterov : ArrayUpdateKind::momentum);
    params.rate = operation.momentum;
    add_update(program, params, 0, 2);
}

void make_program(ArrayProgram &program, const ops::SgdUpdate &operation) {
    const bool has_moment = program.operands().sources.size() == 4;
    ArrayUpdateParams params = update_params(!has_moment          ? ArrayUpdateKind::sgd
                                             : operation.nesterov ? ArrayUpdateKind::sgd_nesterov
                                                                  : ArrayUpdateKind::sgd_moment);
    params.rate = operation.momentum;
    params.decay = operation.weight_decay;
    add_update(program, params, has_moment ? 3 : 0, 2);
}

void make_program(ArrayProgram &program, const ops::AdaptiveUpdate &operation) {
    ArrayUpdateParams params = update_params(ArrayUpdateKind::adaptive);
    params.epsilon = operation.epsilon;
    params.decay = operation.weight_decay;
    add_update(program, params, 2, 3);
}

} // namespace mpscnn::metal
