#include "metal/layers/recurrent.h"

#include "metal/arrays/array_operations.h"

namespace mpscnn::metal {

namespace {

/// Add a kernel that runs one threadgroup for each sequence.
void add_sequences(ArrayProgram &program, const char *shader, const ArrayRecurrentParams &params,
                   std::vector<std::size_t> arrays, const Shape &sums) {
    program.add(shader, params, std::move(arrays), sums[0] * sums[2] * recurrent_threads)
        .share(recurrent_threads, recurrent_bytes(params));
}

template <class Op> void add_layer(ArrayProgram &program, const Op &operation) {
    const std::size_t weight = *program.weight("weight"),
                      inputs = program.operands().sources.size() - program.operands().weights.size();
    const std::size_t *const bias = program.weight("bias");
    ArrayRecurrentParams params = recurrent_params(operation, program.shape(0));
    params.has_states = inputs > 1 ? 1 : 0;
    params.rounds = program.operands().result.half ? 1 : 0;
    const auto state = [&](std::size_t index) { return index < inputs ? index : 0; };
    add_sequences(program, "array_recurrent", params,
                  {0, state(1), state(2), weight, bias ? *bias : weight, program.result()}, program.shape(0));
}

/// Add the kernels of a recurrent layer's gradient. The sources are the gradient of the result, the sums, the
/// result and the weight. Sources from `first_state` on are states.
void add_gradient(ArrayProgram &program, ArrayRecurrentParams params, std::size_t bias,
                  std::size_t first_state) {
    const std::size_t count = program.operands().sources.size();
    params.has_states = count > first_state ? 1 : 0;
    const auto state = [&](std::size_t index) { return index < count ? index : 0; };
    const Shape &sums = program.shape(1);
    const std::int64_t cells = params.is_lstm != 0 ? sums[0] * (sums[1] + 1) * sums[2] * params.units : 1;
    const std::size_t scratch = program.add_scratch(cells);
    add_sequences(program, "array_recurrent_gradient", params,
                  {1, 0, 2, 3, bias, state(first_state), state(first_state + 1), scratch, program.result()},
                  sums);
}

} // namespace

void make_program(ArrayProgram &program, const ops::Lstm &lstm) { add_layer(program, lstm); }
void make_program(ArrayProgram &program, const ops::Gru &gru) { add_layer(program, gru); }

void make_program(ArrayProgram &program, const ops::LstmGradient &gradient) {
    add_gradient(program, recurrent_params(gradient.lstm, program.shape(1)), 3, 4);
}

void make_program(ArrayProgram &program, const ops::GruGradient &gradient) {
    const bool has_bias = gradient.gru.reset_after;
    add_gradient(program, recurrent_params(gradient.gru, program.shape(1)), has_bias ? 4 : 3,
                 has_bias ? 5 : 4);
}

} // namespace mpscnn::metal
