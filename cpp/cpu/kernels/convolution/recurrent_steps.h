#pragma once

// One step of recurrent layers, for the kernels of the layers and of their gradients.
//
// Weights are packed in panels: [block of units][unit of the state][gate][lanes of the block]. So registers
// hold all gates of a block of units. A panel stays in L1 while a thread computes the step for all sequences
// of its work item. The kind gru_before (whose reset gate is applied before the product) has two packed
// matrices: one for the gates z and r, and one for the candidate.

#include "cpu/isa/kernel_math.h"
#include "cpu/isa/kernels.h"
#include "cpu/isa/lanes.h"
#include "cpu/kernels/shared/epilogue.h"

namespace mpscnn::cpu {
namespace {

/// The number of sequences for which the weights of a panel are loaded once.
template <class V> inline constexpr int tile_rows = V::registers >= 32 ? 4 : 2;

/// The addresses of one sequence at one step.
struct RecurrentRow {
    const float *sums;              ///< inputs' part of the gates' sums
    const float *hidden, *cell;     ///< states before the step; null stands for zeros
    float *next_hidden, *next_cell; ///< states after the step; `next_hidden` is null in gradients
    /// In gradients: where to store the activated gates i, f, o and g, or z, r, the candidate, and the
    /// product that r multiplies (or r h). In the forward pass, these pointers are null, except for z and r h
    /// of gru_before.
    float *gates[4];
};

/// The gates of a block of units for some sequences: [gate][row][lane].
template <class V> class GateBlock {
public:
    explicit GateBlock(int rows) : rows_(rows) {}
    MPSCNN_INLINE float *at(int gate, int row) { return values_ + (gate * rows_ + row) * V::width; }
    MPSCNN_INLINE typename V::reg load(int gate, int row) { return V::load(at(gate, row)); }
    MPSCNN_INLINE std::int64_t floats(int gates) const { return gates * rows_ * V::width; }

private:
    alignas(64) float values_[4 * tile_rows<V> * V::width];
    const int rows_;
};

/// Return the number of floats of packed weights for this many gates.
template <class V> MPSCNN_INLINE std::int64_t panel_floats(std::int64_t units, std::int64_t gates) {
    return round_up(units, V::width) * units * gates;
}

/// Pack the weights of `gates` gates from gate number `first` on. The weights of adjacent rows are `stride`
/// apart.
template <class V>
inline void pack_panels(const float *weight, std::ptrdiff_t stride, std::int64_t units, std::int64_t first,
                        std::int64_t gates, float *packed) {
    for (std::int64_t block = 0; block < units; block += V::width)
        for (std::int64_t k = 0; k < units; ++k)
            for (std::int64_t gate = first; gate < first + gates; ++gate)
                for (std::int64_t lane = 0; lane < V::width; ++lane)
                    *packed++ =
                        block + lane < units ? weight[(gate * units + block + lane) * stride + k] : 0.0f;
}

template <class V>
inline void pack_layer(const RecurrentLayer &layer, const float *weight, std::ptrdiff_t stride,
                       float *packed) {
    if (layer.kind != RecurrentLayer::Kind::gru_before)
        return pack_panels<V>(weight, stride, layer.units, 0, layer.gates(), packed);
    pack_panels<V>(weight, stride, layer.units, 0, 2, packed);
    pack_panels<V>(weight, stride, layer.units, 2, 1, packed + panel_floats<V>(layer.units, 2));
}

/// Add the products of the states of `R` rows and a panel of `C` gates to the gates from `gate` on.
template <class V, int R, int C, class State>
MPSCNN_INLINE void add_products(const RecurrentRow *rows, State state, const float *panel, std::int64_t units,
                                GateBlock<V> &block, int gate, int row) {
    typename V::reg sums[R][C];
    const float *from[R];
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r) {
        from[r] = state(rows[row + r]);
#pragma GCC unroll 4
        for (int c = 0; c < C; ++c) sums[r][c] = block.load(gate + c, row + r);
    }
    for (std::int64_t k = 0; k < units; ++k, panel += C * V::width)
#pragma GCC unroll 4
        for (int r = 0; r < R; ++r) {
            const auto factor = V::broadcast(from[r] + k);
#pragma GCC unroll 4
            for (int c = 0; c < C; ++c)
                sums[r][c] = V::fma(factor, V::load(panel + c * V::width), sums[r][c]);
        }
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
        for (int c = 0; c < C; ++c) V::store(block.at(gate + c, row + r), sums[r][c]);
}

/// Add the products of the states of all rows and a panel of `C` gates to the gates from `gate` on.
template <class V, int C, class State>
__attribute__((noinline)) void multiply_states(const RecurrentRow *rows, int count, State state,
                                               const float *panel, std::int64_t units, GateBlock<V> &block,
                                               int gate) {
    int row = 0;
    if constexpr (tile_rows<V> >= 4)
        for (; row + 4 <= count; row += 4) add_products<V, 4, C>(rows, state, panel, units, block, gate, row);
    for (; row + 2 <= count; row += 2) add_products<V, 2, C>(rows, state, panel, units, block, gate, row);
    for (; row < count; ++row) add_products<V, 1, C>(rows, state, panel, units, block, gate, row);
}

/// Apply a function to `count` values in place.
template <class V> inline void apply_function(const Activation &function, float *values, std::int64_t count) {
    if (function.kind == Activation::Kind::none || call_function(function, values, count)) return;
    for (std::int64_t i = 0; i < count; i += V::width) {
        typename V::reg block[1][1] = {{V::load(values + i)}};
        activate<V>(function, block, 0);
        V::store(values + i, block[0][0]);
    }
}

struct HiddenState {
    MPSCNN_INLINE const float *operator()(const RecurrentRow &row) const { return row.hidden; }
};
struct GatedState {
    MPSCNN_INLINE const float *operator()(const RecurrentRow &row) const { return row.gates[3]; }
};

/// Store a vector of units, of which only `left` exist.
template <class V> MPSCNN_INLINE void store_units(float *to, typename V::reg value, std::int64_t left) {
    left >= V::width ? V::store(to, value) : V::store_partial(to, value, left);
}

/// Computes one step of a layer for the sequences of a tile.
template <class V> class RecurrentStep {
public:
    RecurrentStep(const RecurrentLayer &layer, const float *packed, const float *bias, bool rounds,
                  std::int64_t writable)
        : layer_(layer), packed_(packed), bias_(bias), rounds_(rounds), writable_(writable) {}

    /// Compute the vector of units that begins with unit `first`, from the states before the step.
    void run(const RecurrentRow *rows, int count, std::int64_t first) const {
        switch (layer_.kind) {
        case RecurrentLayer::Kind::lstm:
            return run_lstm(rows, count, first);
        case RecurrentLayer::Kind::gru_after:
            return run_gru_after(rows, count, first);
        case RecurrentLayer::Kind::gru_before:
            return run_candidate(rows, count, first);
        }
    }

    /// For gru_before, compute z and r h. They must be known for all units before `run`.
    void open_gates(const RecurrentRow *rows, int count, std::int64_t first) const {
        const std::int64_t units = layer_.units, left = units - first;
        GateBlock<V> block(count);
        for (int row = 0; row < count; ++row)
            for (int gate = 0; gate < 2; ++gate) start(rows[row], gate, first, block.at(gate, row));
        if (rows->hidden)
            multiply_states<V, 2>(rows, count, HiddenState(), packed_ + first * units * 2, units, block, 0);
        apply_function<V>(layer_.gate, block.at(0, 0), block.floats(2));
        for (int row = 0; row < count; ++row) {
            const RecurrentRow &own = rows[row];
            const auto reset = block.load(1, row);
            const auto hidden = own.hidden ? load_lanes<V>(own.hidden + first, left) : V::zero();
            store_units<V>(own.gates[0] + first, block.load(0, row), left);
            if (own.gates[1]) store_units<V>(own.gates[1] + first, reset, left);
            store_units<V>(own.gates[3] + first, V::mul(reset, hidden), left);
        }
    }

private:
    /// Copy the inputs' part of a gate's sums to `to`.
    MPSCNN_INLINE void start(const RecurrentRow &row, int gate, std::int64_t first, float *to) const {
        V::store(to, load_lanes<V>(row.sums + gate * layer_.units + first, layer_.units - first));
    }

    void run_lstm(const RecurrentRow *rows, int count, std::int64_t first) const {
        const std::int64_t units = layer_.units, left = units - first;
        GateBlock<V> block(count), cells(count);
        for (int row = 0; row < count; ++row)
            for (int gate = 0; gate < 4; ++gate) start(rows[row], gate, first, block.at(gate, row));
        if (rows->hidden)
            multiply_states<V, 4>(rows, count, HiddenState(), packed_ + first * units * 4, units, block, 0);
        apply_function<V>(layer_.gate, block.at(0, 0), block.floats(3));
        apply_function<V>(layer_.candidate, block.at(3, 0), block.floats(1));
        for (int row = 0; row < count; ++row) {
            const RecurrentRow &own = rows[row];
            auto cell = V::mul(block.load(0, row), block.load(3, row));
            if (own.cell) cell = V::fma(block.load(1, row), load_lanes<V>(own.cell + first, left), cell);
            if (rounds_) cell = V::round_to_half(cell);
            V::store(cells.at(0, row), cell);
            store_units<V>(own.next_cell + first, cell, left);
            if (!own.gates[0]) continue;
            store_units<V>(own.gates[0] + first, block.load(0, row), left);
            store_units<V>(own.gates[1] + first, block.load(1, row), left);
            store_units<V>(own.gates[2] + first, block.load(2, row), left);
            store_units<V>(own.gates[3] + first, block.load(3, row), left);
        }
        if (!rows->next_hidden) return;
        apply_function<V>(layer_.output, cells.at(0, 0), cells.floats(1));
        for (int row = 0; row < count; ++row)
            store_hidden(rows[row], V::mul(block.load(2, row), cells.load(0, row)), first);
    }

    void run_gru_after(const RecurrentRow *rows, int count, std::int64_t first) const {
        const std::int64_t units = layer_.units;
        GateBlock<V> block(count), candidates(count);
        for (int row = 0; row < count; ++row) {
            for (int gate = 0; gate < 2; ++gate) start(rows[row], gate, first, block.at(gate, row));
            V::store(block.at(2, row), load_lanes<V>(bias_ + first, units - first));
            start(rows[row], 2, first, candidates.at(0, row));
        }
        if (rows->hidden)
            multiply_states<V, 3>(rows, count, HiddenState(), packed_ + first * units * 3, units, block, 0);
        apply_function<V>(layer_.gate, block.at(0, 0), block.floats(2));
        for (int row = 0; row < count; ++row) {
            const auto sum = V::fma(block.load(1, row), block.load(2, row), candidates.load(0, row));
            V::store(candidates.at(0, row), sum);
        }
        apply_function<V>(layer_.candidate, candidates.at(0, 0), candidates.floats(1));
        for (int row = 0; row < count; ++row) {
            const RecurrentRow &own = rows[row];
            mix(own, block.load(0, row), candidates.load(0, row), first);
            if (!own.gates[0]) continue;
            const std::int64_t left = units - first;
            store_units<V>(own.gates[0] + first, block.load(0, row), left);
            store_units<V>(own.gates[1] + first, block.load(1, row), left);
            store_units<V>(own.gates[3] + first, block.load(2, row), left);
        }
    }

    void run_candidate(const RecurrentRow *rows, int count, std::int64_t first) const {
        const std::int64_t units = layer_.units;
        GateBlock<V> block(count);
        for (int row = 0; row < count; ++row) start(rows[row], 2, first, block.at(0, row));
        if (rows->hidden)
            multiply_states<V, 1>(rows, count, GatedState(),
                                  packed_ + panel_floats<V>(units, 2) + first * units, units, block, 0);
        apply_function<V>(layer_.candidate, block.at(0, 0), block.floats(1));
        for (int row = 0; row < count; ++row)
            mix(rows[row], load_lanes<V>(rows[row].gates[0] + first, units - first), block.load(0, row),
                first);
    }

    /// Store the hidden state z h + (1 - z) candidate. In gradients, store the candidate instead.
    MPSCNN_INLINE void mix(const RecurrentRow &row, typename V::reg update, typename V::reg candidate,
                           std::int64_t first) const {
        const std::int64_t left = layer_.units - first;
        if (row.gates[2]) return store_units<V>(row.gates[2] + first, candidate, left);
        const auto hidden = row.hidden ? load_lanes<V>(row.hidden + first, left) : V::zero();
        store_hidden(row, V::fma(update, V::sub(hidden, candidate), candidate), first);
    }

    MPSCNN_INLINE void store_hidden(const RecurrentRow &row, typename V::reg value,
                                    std::int64_t first) const {
        if (rounds_) value = V::round_to_half(value);
        store_lanes<V>(row.next_hidden + first, value, writable_ - first);
    }

    const RecurrentLayer &layer_;
    const float *packed_, *bias_;
    const bool rounds_;
    const std::int64_t writable_;
};

} // namespace
} // namespace mpscnn::cpu
