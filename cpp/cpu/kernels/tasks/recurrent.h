#pragma once

#include "cpu/kernels/tasks/task.h"

namespace mpscnn::cpu {

/// A recurrent layer (ops/recurrent.h) and its weights, packed for the instruction set.
struct RecurrentLayer {
    enum class Kind {
        lstm,
        gru_after, ///< the reset gate r multiplies the product of weights and state
        gru_before ///< the reset gate r multiplies the state, before the product
    };
    Kind kind = Kind::lstm;
    bool reverse = false;
    bool has_states = false;    ///< true if tasks read the states before the first step; false: zeros
    bool reads_weights = false; ///< true if weight and bias are tensors of the graph
    std::int64_t units = 1;
    Activation gate{}, candidate{}, output{};
    const float *packed = nullptr; ///< in the order of RecurrentPacking
    const float *bias = nullptr;   ///< gru_after: bias of the product that r multiplies, in whole vectors

    constexpr std::int64_t gates() const { return kind == Kind::lstm ? 4 : 3; }
};

/// destination = the states of all steps. The source is the part of the gates' sums that comes from the
/// inputs. `others` are the weight [gates * units][units] and bias, if they are tensors of the graph, and
/// then the states before the first step.
struct RecurrentTask {
    ConstView source, others[4];
    View destination;
    RecurrentLayer layer;
    bool round_to_half = false;

    const char *kernel_name() const { return "recurrent layer"; }
};

/// destination = the gradients that ops::LstmGradient and ops::GruGradient describe. The source is the
/// gradient of the layer's result. `others` are the gates' sums, the result, the weight, the bias of
/// gru_after, and the states before the first step.
struct RecurrentGradientTask {
    ConstView source, others[6];
    View destination;
    RecurrentLayer layer;

    const char *kernel_name() const { return "recurrent gradient"; }
};

} // namespace mpscnn::cpu
