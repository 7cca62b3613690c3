// Recurrent layers (LSTM, GRU) and their gradients. A threadgroup computes all steps of one sequence, and
// each thread some of its units. The state is in threadgroup memory.

#include <metal_stdlib>

#include "activation.h"
#include "array_access.h"
#include "array_recurrent_params.h"

using namespace metal;

inline float apply_gate(float x, constant GateParams &gate) {
    return activate_as(static_cast<NeuronKind>(gate.kind), float4(x), gate.params, float4(0.0f))[0];
}

/// Return the derivative of a gate's function from its result.
inline float gate_derivative(float y, constant GateParams &gate) {
    const float a = gate.params.a, b = gate.params.b;
    switch (static_cast<NeuronKind>(gate.kind)) {
    case NeuronKind::sigmoid:
        return y * (1.0f - y);
    case NeuronKind::hard_sigmoid:
        return y > 0.0f && y < 1.0f ? a : 0.0f;
    case NeuronKind::tanh:
        return a * b - b / a * y * y;
    case NeuronKind::linear:
        return a;
    case NeuronKind::relu:
        return y > 0.0f ? 1.0f : 0.0f;
    default:
        return 1.0f;
    }
}

/// The position of a sequence in tensors of steps (images, steps, sequences, channels).
struct RecurrentPlace {
    uint image, sequence;

    void begin(uint number, constant ArrayRecurrentParams &params) {
        image = number / params.sequences;
        sequence = number % params.sequences;
    }
    /// Return the index of the sequence's first channel at `row`, in a tensor with `rows` rows.
    uint at(uint row, uint rows, uint channels, constant ArrayRecurrentParams &params) {
        return ((image * rows + row) * params.sequences + sequence) * channels;
    }
};

/// Return the row of the step that is computed after `step` others.
inline uint row_of_step(uint step, constant ArrayRecurrentParams &params) {
    return params.reverse != 0 ? params.steps - 1u - step : step;
}

inline uint gates_of(constant ArrayRecurrentParams &params) { return params.is_lstm != 0 ? 4u : 3u; }
inline uint state_rows(constant ArrayRecurrentParams &params) {
    return params.is_lstm != 0 ? params.steps + 1u : params.steps;
}
inline bool resets_before(constant ArrayRecurrentParams &params) {
    return params.is_lstm == 0 && params.reset_after == 0;
}

/// Add the product of the state and the weights of one output to `sum`.
inline float add_state(float sum, const threadgroup float *state, const device float *weight, uint output,
                       constant ArrayRecurrentParams &params) {
    const device float *from = weight + output * params.weight_output;
    for (uint i = 0u; i < params.units; ++i) sum = fma(state[i], from[i * params.weight_input], sum);
    return sum;
}

/// Add the product of the gradients of a gate's sums and the weights of one input to `sum`.
inline float add_gradients(float sum, const device float *gradients, const device float *weight, uint gate,
                           uint input, constant ArrayRecurrentParams &params) {
    const device float *from =
        weight + gate * params.units * params.weight_output + input * params.weight_input;
    for (uint i = 0u; i < params.units; ++i) sum = fma(gradients[i], from[i * params.weight_output], sum);
    return sum;
}

/// The activated gates of one unit. For an LSTM they are i, f, o and g. For a GRU they are z, r and the
/// candidate; the fourth value is the product that r multiplies (with reset_after), or r h.
struct UnitGates {
    float values[4];
};

/// Compute the gates of a unit. For a GRU without reset_after, `gated` has r h of all units.
inline UnitGates unit_gates(uint unit, const device float *sums, uint first, const threadgroup float *state,
                            const threadgroup float *gated, const device float *weight,
                            const device float *bias, constant ArrayRecurrentParams &params) {
    const uint units = params.units;
    UnitGates gates;
    for (uint gate = 0u; gate < gates_of(params); ++gate)
        gates.values[gate] = load(sums, first + gate * units + unit, params.run, 1);
    for (uint gate = 0u; gate < 2u; ++gate)
        gates.values[gate] = apply_gate(
            add_state(gates.values[gate], state, weight, gate * units + unit, params), params.gate);
    if (params.is_lstm != 0) {
        gates.values[2] =
            apply_gate(add_state(gates.values[2], state, weight, 2u * units + unit, params), params.gate);
        gates.values[3] = apply_gate(add_state(gates.values[3], state, weight, 3u * units + unit, params),
                                     params.candidate);
    } else if (params.reset_after != 0) {
        gates.values[3] = add_state(bias[unit], state, weight, 2u * units + unit, params);
        gates.values[2] =
            apply_gate(fma(gates.values[1], gates.values[3], gates.values[2]), params.candidate);
    } else {
        gates.values[3] = gated[unit];
        gates.values[2] = apply_gate(add_state(gates.values[2], gated, weight, 2u * units + unit, params),
                                     params.candidate);
    }
    return gates;
}

/// Return r h of a unit, for a GRU without reset_after.
inline float gated_state(uint unit, const device float *sums, uint first, const threadgroup float *state,
                         const device float *weight, constant ArrayRecurrentParams &params) {
    const uint output = params.units + unit;
    const float reset = apply_gate(
        add_state(load(sums, first + output, params.run, 1), state, weight, output, params), params.gate);
    return state[unit] * reset;
}

inline float rounded_state(float x, constant ArrayRecurrentParams &params) {
    return params.rounds != 0 ? float(half(x)) : x;
}

[[max_total_threads_per_threadgroup(128)]] kernel void
array_recurrent(constant ArrayRecurrentParams &params [[buffer(0)]], const device float *sums [[buffer(1)]],
                const device float *hidden [[buffer(2)]], const device float *cell [[buffer(3)]],
                const device float *weight [[buffer(4)]], const device float *bias [[buffer(5)]],
                device float *result [[buffer(6)]], threadgroup float *shared [[threadgroup(0)]],
                uint number [[threadgroup_position_in_grid]],
                uint thread_index [[thread_index_in_threadgroup]]) {
    const uint units = params.units, rows = state_rows(params);
    threadgroup float *state = shared;
    threadgroup float *next = shared + units;
    threadgroup float *cells = shared + 2u * units;
    threadgroup float *gated = shared + 3u * units;
    RecurrentPlace place;
    place.begin(number, params);
    const uint first_state = number * units;
    for (uint unit = thread_index; unit < units; unit += recurrent_threads) {
        const bool has_states = params.has_states != 0;
        state[unit] = has_states ? load(hidden, first_state + unit, params.run, 2) : 0.0f;
        cells[unit] =
            has_states && params.is_lstm != 0 ? load(cell, first_state + unit, params.run, 3) : 0.0f;
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);
    for (uint step = 0u; step < params.steps; ++step) {
        const uint row = row_of_step(step, params);
        const uint first = place.at(row, params.steps, gates_of(params) * units, params);
        const uint to = place.at(row, rows, units, params);
        if (resets_before(params))
            for (uint unit = thread_index; unit < units; unit += recurrent_threads)
                gated[unit] = gated_state(unit, sums, first, state, weight, params);
        threadgroup_barrier(mem_flags::mem_threadgroup);
        for (uint unit = thread_index; unit < units; unit += recurrent_threads) {
            const UnitGates gates = unit_gates(unit, sums, first, state, gated, weight, bias, params);
            float value = fma(gates.values[0], state[unit] - gates.values[2], gates.values[2]);
            if (params.is_lstm != 0) {
                const float kept = fma(gates.values[1], cells[unit], gates.values[0] * gates.values[3]);
                cells[unit] = rounded_state(kept, params);
                value = gates.values[2] * apply_gate(cells[unit], params.output);
            }
            next[unit] = rounded_state(value, params);
            store(result, next[unit], to + unit, params.run, 6);
        }
        threadgroup_barrier(mem_flags::mem_threadgroup);
        for (uint unit = thread_index; unit < units; unit += recurrent_threads) state[unit] = next[unit];
        threadgroup_barrier(mem_flags::mem_threadgroup);
    }
    if (params.is_lstm == 0) return;
    const uint last = place.at(params.steps, rows, units, params);
    for (uint unit = thread_index; unit < units; unit += recurrent_threads)
        store(result, cells[unit], last + unit, params.run, 6);
}

/// Load the hidden state before a step to threadgroup memory.
inline void load_state(threadgroup float *state, uint unit, uint step, RecurrentPlace place,
                       const device float *states, const device float *hidden, uint number,
                       constant ArrayRecurrentParams &params) {
    const uint units = params.units;
    if (step > 0u)
        state[unit] =
            load(states, place.at(row_of_step(step - 1u, params), state_rows(params), units, params) + unit,
                 params.run, 3);
    else
        state[unit] = params.has_states != 0 ? load(hidden, number * units + unit, params.run, 6) : 0.0f;
}

/// Replace the gates of an LSTM's unit by the gradients of their sums. `before` is the cell state before the
/// step, and `after` the one after it. Return the gradient of the cell state before the step.
inline float lstm_gradients(device float *gates, uint unit, float hidden_gradient, float cell_gradient,
                            float before, float after, constant ArrayRecurrentParams &params) {
    const uint units = params.units;
    const float input = gates[unit], forget = gates[units + unit], opened = gates[2u * units + unit],
                candidate = gates[3u * units + unit];
    const float output = apply_gate(after, params.output);
    const float own = cell_gradient + hidden_gradient * opened * gate_derivative(output, params.output);
    gates[unit] = own * candidate * gate_derivative(input, params.gate);
    gates[units + unit] = own * before * gate_derivative(forget, params.gate);
    gates[2u * units + unit] = hidden_gradient * output * gate_derivative(opened, params.gate);
    gates[3u * units + unit] = own * input * gate_derivative(candidate, params.candidate);
    const float passed = own * forget;
    return passed;
}

/// Replace the gates of a GRU's unit by the gradients of their sums. Return the part of the gradient of the
/// state before the step that passes through z. Without reset_after, r and r h are left for reset_gradient.
inline float gru_gradients(device float *gates, uint unit, float hidden_gradient, float before,
                           constant ArrayRecurrentParams &params) {
    const uint units = params.units;
    const float update = gates[unit], reset = gates[units + unit], candidate = gates[2u * units + unit],
                product = gates[3u * units + unit];
    const float own = hidden_gradient * (1.0f - update) * gate_derivative(candidate, params.candidate);
    gates[unit] = hidden_gradient * (before - candidate) * gate_derivative(update, params.gate);
    gates[2u * units + unit] = own;
    if (params.reset_after != 0) {
        gates[units + unit] = own * product * gate_derivative(reset, params.gate);
        gates[3u * units + unit] = own * reset;
    }
    const float passed = hidden_gradient * update;
    return passed;
}

/// For a GRU without reset_after, return the gradient that a unit's product r * h passes to the state before
/// the step. Replace r by the gradient of the reset gate's weighted sum.
inline float reset_gradient(device float *gates, uint unit, float before, const device float *weight,
                            constant ArrayRecurrentParams &params) {
    const uint units = params.units;
    const float own = add_gradients(0.0f, gates + 2u * units, weight, 2u, unit, params);
    const float reset = gates[units + unit];
    gates[units + unit] = own * before * gate_derivative(reset, params.gate);
    const float passed = own * reset;
    return passed;
}

/// Compute the gradients of a recurrent layer. The first pass over the steps computes the gates again, into
/// the result's memory, and the cell states. The second pass goes back from the last step.
[[max_total_threads_per_threadgroup(128)]] kernel void
array_recurrent_gradient(constant ArrayRecurrentParams &params [[buffer(0)]],
                         const device float *sums [[buffer(1)]], const device float *gradient [[buffer(2)]],
                         const device float *states [[buffer(3)]], const device float *weight [[buffer(4)]],
                         const device float *bias [[buffer(5)]], const device float *hidden [[buffer(6)]],
                         const device float *cell [[buffer(7)]], device float *cells [[buffer(8)]],
                         device float *result [[buffer(9)]], threadgroup float *shared [[threadgroup(0)]],
                         uint number [[threadgroup_position_in_grid]],
                         uint thread_index [[thread_index_in_threadgroup]]) {
    const uint units = params.units;
    threadgroup float *state = shared;
    threadgroup float *gated = shared + units;
    threadgroup float *hidden_gradients = shared + 2u * units;
    threadgroup float *cell_gradients = shared + 3u * units;
    RecurrentPlace place;
    place.begin(number, params);
    for (uint step = 0u; step < params.steps; ++step) {
        const uint row = row_of_step(step, params);
        const uint first = place.at(row, params.steps, gates_of(params) * units, params);
        const uint to = place.at(row, params.steps + 1u, 4u * units, params);
        for (uint unit = thread_index; unit < units; unit += recurrent_threads)
            load_state(state, unit, step, place, states, hidden, number, params);
        threadgroup_barrier(mem_flags::mem_threadgroup);
        if (resets_before(params))
            for (uint unit = thread_index; unit < units; unit += recurrent_threads)
                gated[unit] = gated_state(unit, sums, first, state, weight, params);
        threadgroup_barrier(mem_flags::mem_threadgroup);
        for (uint unit = thread_index; unit < units; unit += recurrent_threads) {
            const UnitGates gates = unit_gates(unit, sums, first, state, gated, weight, bias, params);
            for (uint gate = 0u; gate < 4u; ++gate) result[to + gate * units + unit] = gates.values[gate];
            if (params.is_lstm == 0) continue;
            const uint at = place.at(step, params.steps + 1u, units, params) + unit;
            if (step == 0u)
                cells[at] = params.has_states != 0 ? load(cell, number * units + unit, params.run, 7) : 0.0f;
            cells[at + params.sequences * units] =
                fma(gates.values[1], cells[at], gates.values[0] * gates.values[3]);
        }
        threadgroup_barrier(mem_flags::mem_threadgroup);
    }
    for (uint unit = thread_index; unit < units; unit += recurrent_threads) {
        const uint last = place.at(params.steps, params.steps + 1u, units, params);
        hidden_gradients[unit] = 0.0f;
        cell_gradients[unit] = params.is_lstm != 0 ? load(gradient, last + unit, params.run, 2) : 0.0f;
    }
    for (uint left = params.steps; left > 0u; --left) {
        const uint step = left - 1u, row = row_of_step(step, params);
        const uint from = place.at(row, state_rows(params), units, params);
        device float *gates = result + place.at(row, params.steps + 1u, 4u * units, params);
        for (uint unit = thread_index; unit < units; unit += recurrent_threads) {
            load_state(state, unit, step, place, states, hidden, number, params);
            const float own = hidden_gradients[unit] + load(gradient, from + unit, params.run, 2);
            if (params.is_lstm != 0) {
                const uint at = place.at(step, params.steps + 1u, units, params) + unit;
                cell_gradients[unit] = lstm_gradients(gates, unit, own, cell_gradients[unit], cells[at],
                                                      cells[at + params.sequences * units], params);
                hidden_gradients[unit] = 0.0f;
            } else {
                hidden_gradients[unit] = gru_gradients(gates, unit, own, state[unit], params);
            }
        }
        threadgroup_barrier(mem_flags::mem_device);
        if (resets_before(params))
            for (uint unit = thread_index; unit < units; unit += recurrent_threads)
                hidden_gradients[unit] += reset_gradient(gates, unit, state[unit], weight, params);
        threadgroup_barrier(mem_flags::mem_device);
        for (uint unit = thread_index; unit < units; unit += recurrent_threads) {
            float sum = hidden_gradients[unit];
            for (uint gate = 0u; gate < 2u; ++gate)
                sum = add_gradients(sum, gates + gate * units, weight, gate, unit, params);
            if (params.is_lstm != 0)
                for (uint gate = 2u; gate < 4u; ++gate)
                    sum = add_gradients(sum, gates + gate * units, weight, gate, unit, params);
            else if (params.reset_after != 0)
                sum = add_gradients(sum, gates + 3u * units, weight, 2u, unit, params);
            hidden_gradients[unit] = sum;
        }
        threadgroup_barrier(mem_flags::mem_device);
    }
    device float *last = result + place.at(params.steps, params.steps + 1u, 4u * units, params);
    for (uint unit = thread_index; unit < units; unit += recurrent_threads) {
        last[unit] = hidden_gradients[unit];
        last[units + unit] = params.is_lstm != 0 ? cell_gradients[unit] : 0.0f;
        last[2u * units + unit] = last[3u * units + unit] = 0.0f;
    }
}
