// Recurrent layers (LSTM and GRU). A work item computes all steps of some sequences. Each step reads the
// packed weights once for all of them.
//
// Registers hold the sums of 4 gates for 4 sequences, or for 2 with 16 registers. The speed is limited by
// loads of weights from L2 if an item has fewer sequences than that, otherwise by FMAs.

#include "cpu/isa/instance.h"
#include "cpu/kernels/convolution/recurrent_steps.h"
#include "cpu/kernels/shared/pixels.h"

namespace mpscnn::cpu {
namespace {

struct RecurrentPlan {
    std::int64_t items;
    std::int64_t packed_floats; ///< floats of weights that are packed in each run
    std::int64_t gate_floats;   ///< floats of z and r h for one sequence
};

template <class V> Prepared recurrent_prepare(const RecurrentTask &task, const Planning &planning) {
    constexpr std::int64_t item_operations = 200'000;
    const RecurrentLayer &layer = task.layer;
    const ConstView &from = task.source;
    const std::int64_t sequences = from.batch * from.width, units = layer.units;
    const std::int64_t operations = from.height * sequences * from.channels * units;
    RecurrentPlan plan;
    plan.items = clamped(operations / item_operations, 1, min(planning.threads, sequences));
    plan.packed_floats = layer.reads_weights ? panel_floats<V>(units, layer.gates()) : 0;
    plan.gate_floats = layer.kind == RecurrentLayer::Kind::gru_before ? 2 * round_up(units, 16) : 0;
    const std::int64_t rows = divide_up(sequences, plan.items);
    const std::int64_t bytes = 4 * (plan.packed_floats + rows * plan.gate_floats) +
                               rows * static_cast<std::int64_t>(sizeof(RecurrentRow));
    return planning.keep(plan, plan.items, static_cast<std::size_t>(round_up(bytes, 64)));
}

/// Call visit(rows, count, first unit) for each block of units and each tile of rows (sequences).
template <class V, class Visit>
MPSCNN_INLINE void for_each_block(const RecurrentRow *rows, std::int64_t count, std::int64_t units,
                                  Visit visit) {
    for (std::int64_t first = 0; first < units; first += V::width)
        for (std::int64_t row = 0; row < count; row += tile_rows<V>)
            visit(rows + row, static_cast<int>(min(tile_rows<V>, count - row)), first);
}

/// Set a row's addresses for one step of a sequence. `last` is the step before it, or negative if there is
/// none.
inline void bind_row(const RecurrentTask &task, std::int64_t sequence, std::int64_t step, std::int64_t last,
                     RecurrentRow &row) {
    const View &to = task.destination;
    const std::int64_t image = sequence / to.width, x = sequence % to.width;
    const bool is_lstm = task.layer.kind == RecurrentLayer::Kind::lstm;
    row.sums = pixel_at(task.source, image, step, x);
    row.next_hidden = pixel_at(to, image, step, x);
    row.next_cell = is_lstm ? pixel_at(to, image, to.height - 1, x) : nullptr;
    if (last >= 0) {
        row.hidden = pixel_at(to, image, last, x);
        row.cell = row.next_cell;
        return;
    }
    const ConstView *states =
        task.others + (task.layer.reads_weights ? 1 : 0) +
        (task.layer.reads_weights && task.layer.kind == RecurrentLayer::Kind::gru_after);
    row.hidden = task.layer.has_states ? pixel_at(states[0], image, 0, x) : nullptr;
    row.cell = task.layer.has_states && is_lstm ? pixel_at(states[1], image, 0, x) : nullptr;
}

template <class V>
void compute_sequences(const RecurrentTask &task, const RecurrentPlan &plan, std::int64_t item,
                       std::byte *scratch) {
    const RecurrentLayer &layer = task.layer;
    const ConstView &from = task.source;
    const Range sequences = part_of(from.batch * from.width, plan.items, item);
    auto *memory = reinterpret_cast<float *>(scratch);
    const float *packed = layer.packed, *bias = layer.bias;
    if (layer.reads_weights) {
        pack_layer<V>(layer, task.others[0].data, task.others[0].image_stride, memory);
        packed = memory;
        bias = task.others[1].data;
    }
    float *gates = memory + plan.packed_floats;
    auto *rows = reinterpret_cast<RecurrentRow *>(gates + sequences.size() * plan.gate_floats);
    for (std::int64_t i = 0; i < sequences.size(); ++i) {
        float *const own = gates + i * plan.gate_floats;
        const bool keeps = plan.gate_floats > 0;
        rows[i] = {};
        rows[i].gates[0] = keeps ? own : nullptr;
        rows[i].gates[3] = keeps ? own + plan.gate_floats / 2 : nullptr;
    }
    const RecurrentStep<V> step(layer, packed, bias, task.round_to_half, task.destination.writable_channels);
    for (std::int64_t t = 0; t < from.height; ++t) {
        const std::int64_t at = layer.reverse ? from.height - 1 - t : t,
                           last = layer.reverse ? at + 1 : at - 1;
        for (std::int64_t i = 0; i < sequences.size(); ++i)
            bind_row(task, sequences.begin + i, at, t == 0 ? -1 : last, rows[i]);
        if (layer.kind == RecurrentLayer::Kind::gru_before)
            for_each_block<V>(rows, sequences.size(), layer.units,
                              [&](auto... block) { step.open_gates(block...); });
        for_each_block<V>(rows, sequences.size(), layer.units, [&](auto... block) { step.run(block...); });
    }
}

template <class V>
void recurrent_run(const RecurrentTask &task, const Prepared &prepared, std::int64_t begin, std::int64_t end,
                   Worker &worker) {
    const auto &plan = prepared.plan_as<RecurrentPlan>();
    for (std::int64_t item = begin; item < end; ++item)
        compute_sequences<V>(task, plan, item, worker.scratch);
}

template <class V> void recurrent_pack(const RecurrentLayer &layer, const float *weight, float *packed) {
    pack_layer<V>(layer, weight, layer.units, packed);
}

template <class V> std::size_t recurrent_packed_size(const RecurrentLayer &layer) {
    return static_cast<std::size_t>(panel_floats<V>(layer.units, layer.gates()));
}

} // namespace
} // namespace mpscnn::cpu

MPSCNN_KERNEL(RecurrentTask, recurrent)

void mpscnn::cpu::MPSCNN_SET::get(RecurrentPacking &packing) {
    packing = {recurrent_packed_size<Simd>, recurrent_pack<Simd>};
}
