#pragma once

#include "ops/neuron.h"

namespace mpscnn::ops {

// Recurrent layers on images (n, steps, sequences, channels). The dense part is a separate layer before them:
// it multiplies the inputs of all steps by their matrix, which gives the input's part of each gate's sum.

/// The activation function of a gate: a neuron without a third parameter and without slopes.
struct GateFunction {
    NeuronKind kind;
    float a = 0.0f, b = 0.0f;

    Neuron neuron() const { return {.kind = kind, .a = a, .b = b}; }
    /// Return whether training can compute the derivative from the function's result.
    bool has_simple_derivative() const;
};

/// A long short-term memory. Input 0 has the sums of the gates i, f, o and g with `units` channels each. The
/// optional inputs 1 and 2 are the hidden state h and the cell state c before the first step, (n, 1,
/// sequences, units).
///
/// Each step adds h times the transposed weight to its sums. The function `gate` of the sums gives i, f and
/// o, and the function `candidate` gives g. Then c = f c + i g, and h = o output(c). Row t of the result is h
/// of step t; the last row is the last c.
struct Lstm {
    static constexpr OperationInfo info{
        "lstm", "Long short-term memory: the hidden state of each step, then the last cell state.",
        1,      3,
        true,   false,
        true};
    static constexpr std::int64_t gates = 4;

    bool reverse = false;
    GateFunction gate{NeuronKind::sigmoid}, candidate{NeuronKind::tanh, 1.0f, 1.0f},
        output{NeuronKind::tanh, 1.0f, 1.0f};

    template <class Visitor> void fields(Visitor &visit) {
        visit("reverse", reverse, "whether the last step comes first");
        visit("gate", gate.kind, "function of the gates i, f and o (docs/ops/neuron.md)");
        visit("gate_a", gate.a, "its parameter a");
        visit("gate_b", gate.b, "its parameter b");
        visit("candidate", candidate.kind, "function of the candidate g");
        visit("candidate_a", candidate.a, "its parameter a");
        visit("candidate_b", candidate.b, "its parameter b");
        visit("output", output.kind, "function of the cell state before the gate o");
        visit("output_a", output.a, "its parameter a");
        visit("output_b", output.b, "its parameter b");
    }

    void check(const InputShapes &inputs) const;
    Shape output_shape(const InputShapes &inputs) const;
    WeightSpecs weights(const InputShapes &inputs) const;
    Cost cost(const InputShapes &inputs, const Shape &output) const;
};

/// A gated recurrent unit. Input 0 has the sums of the gates z and r and of the candidate, with `units`
/// channels each. The optional input 1 is the hidden state h before the first step, (n, 1, sequences, units).
///
/// Each step adds h times the transposed weight to the sums of z and r, whose function is `gate`. The sum of
/// the candidate gets r (h W + bias) with reset_after, otherwise (r h) W. Then h = z h + (1 - z)
/// candidate(sum).
struct Gru {
    static constexpr OperationInfo info{
        "gru", "Gated recurrent unit: the hidden state of each step.", 1, 2, true, false, true};
    static constexpr std::int64_t gates = 3;

    bool reverse = false, reset_after = true;
    GateFunction gate{NeuronKind::sigmoid}, candidate{NeuronKind::tanh, 1.0f, 1.0f};

    template <class Visitor> void fields(Visitor &visit) {
        visit("reverse", reverse, "whether the last step comes first");
        visit("reset_after", reset_after, "whether r multiplies the product of the state and its bias");
        visit("gate", gate.kind, "function of the gates z and r (docs/ops/neuron.md)");
        visit("gate_a", gate.a, "its parameter a");
        visit("gate_b", gate.b, "its parameter b");
        visit("candidate", candidate.kind, "function of the candidate");
        visit("candidate_a", candidate.a, "its parameter a");
        visit("candidate_b", candidate.b, "its parameter b");
    }

    void check(const InputShapes &inputs) const;
    Shape output_shape(const InputShapes &inputs) const;
    WeightSpecs weights(const InputShapes &inputs) const;
    Cost cost(const InputShapes &inputs, const Shape &output) const;
};

/// The gradients of an LSTM. Inputs: the gradient of its result, its input 0, its result, its weight, and its
/// states before the first step, if it has them.
///
/// The result has rows of 4 * units channels: row t has the gradients of the sums of step t. The last row has
/// the gradients of both states before the first step, and zeros.
struct LstmGradient {
    static constexpr OperationInfo info =
        training_info("lstm_gradient", "Gradients of the sums and states of an LSTM.", 4, 2);

    Lstm lstm;

    template <class Visitor> void fields(Visitor &visit) { lstm.fields(visit); }

    void check(const InputShapes &inputs) const;
    Shape output_shape(const InputShapes &inputs) const;
    WeightSpecs weights(const InputShapes &) const { return {}; }
    Cost cost(const InputShapes &inputs, const Shape &output) const;
};

/// The gradients of a GRU. Inputs: the gradient of its result, its input 0, its result, its weight, with
/// reset_after the bias, and its state before the first step, if it has one.
///
/// The result has rows of 4 * units channels. The first three quarters of row t are the gradients of the sums
/// of z, r and the candidate in step t. With reset_after, the last quarter is the gradient of the product
/// that r multiplies, otherwise it is r h. The last row has the gradient of the state before the first step,
/// and zeros.
struct GruGradient {
    static constexpr OperationInfo info =
        training_info("gru_gradient", "Gradients of the sums and the state of a GRU.", 4, 2);

    Gru gru;

    template <class Visitor> void fields(Visitor &visit) { gru.fields(visit); }

    void check(const InputShapes &inputs) const;
    Shape output_shape(const InputShapes &inputs) const;
    WeightSpecs weights(const InputShapes &) const { return {}; }
    Cost cost(const InputShapes &inputs, const Shape &output) const;
};

} // namespace mpscnn::ops
