// Gradients of recurrent layers. A work item is some sequences, which are computed in tiles of a few
// sequences. A first pass over the steps computes the gates again, from the known states, into the result's
// memory. A second pass goes back from the last step and replaces the gates by their gradients.
//
// Registers are used as in recurrent.cpp in the first pass; in the second they hold a sum for each sequence.
// The speed is limited by loads of the weights, which each step reads twice.

#include "cpu/isa/instance.h"
#include "cpu/kernels/convolution/recurrent_steps.h"
#include "cpu/kernels/shared/pixels.h"

namespace mpscnn::cpu {
namespace {

struct RecurrentGradientPlan {
    std::int64_t items;
    std::int64_t packed_floats;
    std::int64_t row_floats; ///< the number of units, rounded up to whole vectors
    /// The number of cell states of a sequence in scratch memory: one for each step of an LSTM, 0 for a GRU.
    std::int64_t cells;
};

template <class V>
Prepared recurrent_gradient_prepare(const RecurrentGradientTask &task, const Planning &planning) {
    constexpr std::int64_t item_operations = 200'000;
    const RecurrentLayer &layer = task.layer;
    const ConstView &sums = task.others[0];
    const std::int64_t sequences = sums.batch * sums.width, units = layer.units;
    RecurrentGradientPlan plan;
    plan.items = clamped(2 * sums.height * sequences * sums.channels * units / item_operations, 1,
                         min(planning.threads, sequences));
    plan.packed_floats = panel_floats<V>(units, layer.gates());
    plan.row_floats = round_up(units, 16);
    plan.cells = layer.kind == RecurrentLayer::Kind::lstm ? sums.height : 0;
    const std::int64_t floats = plan.packed_floats + tile_rows<V> * (plan.cells + 3) * plan.row_floats;
    return planning.keep(plan, plan.items, static_cast<std::size_t>(floats) * sizeof(float));
}

/// Return the derivative of a function at the point where its result is y (see
/// GateFunction::has_simple_derivative).
template <class V> MPSCNN_INLINE typename V::reg derivative(const Activation &function, typename V::reg y) {
    const auto zero = V::zero(), one = V::set1(1.0f);
    const auto inside = [&](float low, float high, typename V::reg value) {
        const auto above = V::select(V::less(V::set1(low), y), value, zero);
        return V::select(V::less(y, V::set1(high)), above, zero);
    };
    switch (function.kind) {
    case Activation::Kind::clamp:
        return inside(function.low, function.high, one);
    case Activation::Kind::linear:
        return V::set1(function.slope);
    case Activation::Kind::function:
        break;
    default:
        return one;
    }
    if (function.function == NeuronKind::sigmoid) return V::mul(y, V::sub(one, y));
    if (function.function == NeuronKind::hard_sigmoid) return inside(0.0f, 1.0f, V::set1(function.a));
    const auto square = V::mul(y, y);
    return V::fma(V::set1(-function.b / function.a), square, V::set1(function.a * function.b));
}

/// Computes the gradients of a tile, a few sequences.
template <class V> class TileGradient {
    using reg = typename V::reg;

public:
    TileGradient(const RecurrentGradientTask &task, const RecurrentGradientPlan &plan, const float *packed,
                 float *memory, Range sequences)
        : task_(task), layer_(task.layer), plan_(plan), sums_(task.others[0]), result_(task.others[1]),
          weight_(task.others[2]), states_(task.others + (is_after() ? 4 : 3)), packed_(packed),
          cells_(memory), hidden_(memory + tile_rows<V> * plan.cells * plan.row_floats),
          cell_(hidden_ + tile_rows<V> * plan.row_floats), gated_(cell_ + tile_rows<V> * plan.row_floats),
          sequences_(sequences), count_(static_cast<int>(sequences.size())) {}

    void compute_gates() {
        const RecurrentStep<V> step(layer_, packed_, is_after() ? task_.others[3].data : nullptr, false, 0);
        for (std::int64_t t = 0; t < sums_.height; ++t) {
            bind(t);
            for (std::int64_t first = 0; first < layer_.units && is_before(); first += V::width)
                step.open_gates(rows_, count_, first);
            for (std::int64_t first = 0; first < layer_.units; first += V::width)
                step.run(rows_, count_, first);
        }
    }

    void go_back() {
        for (std::int64_t i = 0; i < tile_rows<V> * plan_.row_floats; ++i) hidden_[i] = cell_[i] = 0.0f;
        if (is_lstm())
            for_each_unit([&](int row, std::int64_t first, std::int64_t left) {
                V::store(cell_of(row) + first,
                         load_lanes<V>(place(task_.source, task_.source.height - 1, row) + first, left));
            });
        for (std::int64_t t = sums_.height; t-- > 0;) {
            bind(t);
            if (is_lstm())
                backpropagate_lstm(t);
            else
                backpropagate_gru();
        }
        store_states();
    }

private:
    bool is_lstm() const { return layer_.kind == RecurrentLayer::Kind::lstm; }
    bool is_after() const { return layer_.kind == RecurrentLayer::Kind::gru_after; }
    bool is_before() const { return layer_.kind == RecurrentLayer::Kind::gru_before; }

    template <class AnyView> auto *place(const AnyView &view, std::int64_t step, int row) const {
        const std::int64_t sequence = sequences_.begin + row;
        return pixel_at(view, sequence / sums_.width, step, sequence % sums_.width);
    }
    float *cell_of(int row) const { return cell_ + row * plan_.row_floats; }
    float *hidden_of(int row) const { return hidden_ + row * plan_.row_floats; }
    float *cell_after(std::int64_t t, int row) const {
        return cells_ + (row * plan_.cells + t) * plan_.row_floats;
    }
    /// Return the row of the tensors for step t in the order of computation. With `reverse`, the first step
    /// is the last row.
    std::int64_t row_of_step(std::int64_t t) const { return layer_.reverse ? sums_.height - 1 - t : t; }

    /// Set the addresses of all sequences for step t in the order of computation.
    void bind(std::int64_t t) {
        at_ = row_of_step(t);
        for (int i = 0; i < count_; ++i) {
            RecurrentRow &row = rows_[i];
            row = {};
            row.sums = place(sums_, at_, i);
            if (t > 0) {
                row.hidden = place(result_, row_of_step(t - 1), i);
                if (is_lstm()) row.cell = cell_after(t - 1, i);
            } else if (layer_.has_states) {
                row.hidden = place(states_[0], 0, i);
                if (is_lstm()) row.cell = place(states_[1], 0, i);
            }
            if (is_lstm()) row.next_cell = cell_after(t, i);
            float *const gates = place(task_.destination, at_, i);
            for (int gate = 0; gate < 4; ++gate) row.gates[gate] = gates + gate * layer_.units;
        }
    }

    /// Call visit(row, first unit, units left) for each vector of units of each sequence.
    template <class Visit> MPSCNN_INLINE void for_each_unit(Visit visit) {
        for (int row = 0; row < count_; ++row)
            for (std::int64_t first = 0; first < layer_.units; first += V::width)
                visit(row, first, layer_.units - first);
    }

    /// Return the gradient of the hidden state after the step. It is the sum of the gradient from later steps
    /// and the gradient of the step's output.
    MPSCNN_INLINE reg hidden_gradient(int row, std::int64_t first, std::int64_t left) const {
        return V::add(V::load(hidden_of(row) + first),
                      load_lanes<V>(place(task_.source, at_, row) + first, left));
    }

    void backpropagate_lstm(std::int64_t t) {
        for_each_unit([&](int index, std::int64_t first, std::int64_t left) {
            const RecurrentRow &row = rows_[index];
            reg gates[4];
            for (int gate = 0; gate < 4; ++gate) gates[gate] = load_lanes<V>(row.gates[gate] + first, left);
            alignas(64) float outputs[V::width];
            V::store(outputs, load_lanes<V>(cell_after(t, index) + first, left));
            apply_function<V>(layer_.output, outputs, V::width);
            const reg output = V::load(outputs), hidden = hidden_gradient(index, first, left);
            const reg through = V::mul(V::mul(hidden, gates[2]), derivative<V>(layer_.output, output));
            const reg cell = V::add(V::load(cell_of(index) + first), through);
            const reg before = row.cell ? load_lanes<V>(row.cell + first, left) : V::zero();
            const reg own[4] = {V::mul(V::mul(cell, gates[3]), derivative<V>(layer_.gate, gates[0])),
                                V::mul(V::mul(cell, before), derivative<V>(layer_.gate, gates[1])),
                                V::mul(V::mul(hidden, output), derivative<V>(layer_.gate, gates[2])),
                                V::mul(V::mul(cell, gates[0]), derivative<V>(layer_.candidate, gates[3]))};
            for (int gate = 0; gate < 4; ++gate) store_units<V>(row.gates[gate] + first, own[gate], left);
            V::store(cell_of(index) + first, V::mul(cell, gates[1]));
            V::store(hidden_of(index) + first, V::zero());
        });
        add_state_gradient(0, 0, 4, hidden_);
    }

    void backpropagate_gru() {
        const reg one = V::set1(1.0f);
        for_each_unit([&](int index, std::int64_t first, std::int64_t left) {
            const RecurrentRow &row = rows_[index];
            reg gates[4];
            for (int gate = 0; gate < 4; ++gate) gates[gate] = load_lanes<V>(row.gates[gate] + first, left);
            const reg hidden = hidden_gradient(index, first, left);
            const reg before = row.hidden ? load_lanes<V>(row.hidden + first, left) : V::zero();
            const reg update =
                V::mul(V::mul(hidden, V::sub(before, gates[2])), derivative<V>(layer_.gate, gates[0]));
            const reg candidate =
                V::mul(V::mul(hidden, V::sub(one, gates[0])), derivative<V>(layer_.candidate, gates[2]));
            store_units<V>(row.gates[0] + first, update, left);
            store_units<V>(row.gates[2] + first, candidate, left);
            V::store(hidden_of(index) + first, V::mul(hidden, gates[0]));
            V::store(gated_ + index * plan_.row_floats + first, V::zero());
            if (!is_after()) return;
            const reg reset = V::mul(V::mul(candidate, gates[3]), derivative<V>(layer_.gate, gates[1]));
            store_units<V>(row.gates[1] + first, reset, left);
            store_units<V>(row.gates[3] + first, V::mul(candidate, gates[1]), left);
        });
        if (is_after()) {
            add_state_gradient(3, 2, 1, hidden_);
        } else {
            add_state_gradient(2, 2, 1, gated_);
            for_each_unit([&](int index, std::int64_t first, std::int64_t left) {
                const RecurrentRow &row = rows_[index];
                const reg gated = V::load(gated_ + index * plan_.row_floats + first);
                const reg before = row.hidden ? load_lanes<V>(row.hidden + first, left) : V::zero();
                const reg reset = load_lanes<V>(row.gates[1] + first, left);
                store_units<V>(row.gates[1] + first,
                               V::mul(V::mul(gated, before), derivative<V>(layer_.gate, reset)), left);
                float *const hidden = hidden_of(index) + first;
                V::store(hidden, V::fma(gated, reset, V::load(hidden)));
            });
        }
        add_state_gradient(0, 0, 2, hidden_);
    }

    /// Add the products of gates' gradients and weights to `to`, the gradient of a state. The gates are
    /// `gates` gates from number `gate` on. Their gradients are in RecurrentRow::gates from index `quarter`
    /// on.
    void add_state_gradient(int quarter, std::int64_t gate, std::int64_t gates, float *to) {
        int row = 0;
        if constexpr (tile_rows<V> >= 4)
            if (count_ == 4) return add_state_gradient<4>(0, quarter, gate, gates, to);
        for (; row + 2 <= count_; row += 2) add_state_gradient<2>(row, quarter, gate, gates, to);
        if (row < count_) add_state_gradient<1>(row, quarter, gate, gates, to);
    }
    template <int R>
    __attribute__((noinline)) void add_state_gradient(int first_row, int quarter, std::int64_t gate,
                                                      std::int64_t gates, float *to) {
        const std::int64_t units = layer_.units;
        const float *const weight = weight_.data + gate * units * weight_.image_stride;
        to += first_row * plan_.row_floats;
        for (std::int64_t first = 0; first < units; first += V::width) {
            reg sums[R];
#pragma GCC unroll 4
            for (int r = 0; r < R; ++r) sums[r] = V::load(to + r * plan_.row_floats + first);
            for (std::int64_t j = 0; j < gates * units; ++j) {
                const reg factor = load_lanes<V>(weight + j * weight_.image_stride + first, units - first);
#pragma GCC unroll 4
                for (int r = 0; r < R; ++r)
                    sums[r] = V::fma(V::broadcast(rows_[first_row + r].gates[quarter] + j), factor, sums[r]);
            }
#pragma GCC unroll 4
            for (int r = 0; r < R; ++r) V::store(to + r * plan_.row_floats + first, sums[r]);
        }
    }

    /// Store the gradients of the initial states in the last row of the result, and fill the rest of that row
    /// with zeros.
    void store_states() {
        for (int row = 0; row < count_; ++row) {
            float *const to = place(task_.destination, task_.destination.height - 1, row);
            for (std::int64_t unit = 0; unit < layer_.units; ++unit) {
                to[unit] = hidden_of(row)[unit];
                to[layer_.units + unit] = is_lstm() ? cell_of(row)[unit] : 0.0f;
                to[2 * layer_.units + unit] = to[3 * layer_.units + unit] = 0.0f;
            }
        }
    }

    const RecurrentGradientTask &task_;
    const RecurrentLayer &layer_;
    const RecurrentGradientPlan &plan_;
    const ConstView &sums_, &result_, &weight_, *const states_;
    const float *packed_;
    float *cells_, *hidden_, *cell_, *gated_;
    Range sequences_;
    int count_;
    std::int64_t at_ = 0; ///< the row of the tensors that `rows_` point to
    RecurrentRow rows_[tile_rows<V>] = {};
};

template <class V>
void recurrent_gradient_run(const RecurrentGradientTask &task, const Prepared &prepared, std::int64_t begin,
                            std::int64_t end, Worker &worker) {
    const auto &plan = prepared.plan_as<RecurrentGradientPlan>();
    const ConstView &sums = task.others[0], &weight = task.others[2];
    auto *packed = reinterpret_cast<float *>(worker.scratch);
    pack_layer<V>(task.layer, weight.data, weight.image_stride, packed);
    for (std::int64_t item = begin; item < end; ++item) {
        const Range sequences = part_of(sums.batch * sums.width, plan.items, item);
        for (std::int64_t first = sequences.begin; first < sequences.end; first += tile_rows<V>) {
            const Range tile{first, min(first + tile_rows<V>, sequences.end)};
            TileGradient<V> gradient(task, plan, packed, packed + plan.packed_floats, tile);
            gradient.compute_gates();
            gradient.go_back();
        }
    }
}

} // namespace
} // namespace mpscnn::cpu

MPSCNN_KERNEL(RecurrentGradientTask, recurrent_gradient)
