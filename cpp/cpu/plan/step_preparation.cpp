// Prepares the kernels for the steps of a plan before any of them runs.

#include <cstdint>

#include "cpu/plan/bound_task.h"
#include "cpu/plan/plan_memory.h"

namespace mpscnn::cpu {

namespace {

/// Return an address for kernels' preparation. Kernels require that it is not null, but never access it.
float *nowhere() {
    alignas(64) static float address;
    return &address;
}

template <class Look> void look_at_ports(const Step &step, std::span<const Storage> storages, Look look) {
    const auto look_at = [&](const Region &region) {
        const auto index = static_cast<std::size_t>(region.storage);
        if (storages[index].home != Storage::Home::arena) look(storages[index], index);
    };
    look_at(step.source), look_at(step.destination);
    for (const Region &other : step.others) look_at(other);
}

/// Return the strides of an input or output that is in the caller's memory without gaps.
Strides strides_in_place(const Storage &storage) {
    const Extents &extents = storage.extents;
    return contiguous_strides(extents, extents.pixels() * extents.channels);
}

/// Return the strides of all storages if inputs and outputs are in place or in the arena, as `use` says. The
/// addresses have no meaning yet.
std::vector<Binding> foreseen_bindings(std::span<const Storage> storages, const PortUse &use) {
    std::vector<Binding> bindings;
    for (const Storage &storage : storages) {
        const bool in_place = storage.home == Storage::Home::input    ? use.inputs_in_place
                              : storage.home == Storage::Home::output ? use.outputs_in_place
                                                                      : false;
        const Strides &strides = in_place ? strides_in_place(storage) : storage.strides;
        bindings.push_back({nowhere(), strides, !in_place});
    }
    return bindings;
}

} // namespace

PortUse port_use(const Step &step, std::span<const Storage> storages, std::span<const Binding> bindings) {
    PortUse use;
    bool inputs_in_arena = false, outputs_in_arena = false;
    look_at_ports(step, storages, [&](const Storage &storage, std::size_t index) {
        const bool is_input = storage.home == Storage::Home::input;
        const bool in_place = !bindings[index].own;
        (is_input ? (in_place ? use.inputs_in_place : inputs_in_arena)
                  : (in_place ? use.outputs_in_place : outputs_in_arena)) = true;
        if (in_place && !(bindings[index].strides == strides_in_place(storage))) use.is_foreseen = false;
    });
    if ((use.inputs_in_place && inputs_in_arena) || (use.outputs_in_place && outputs_in_arena))
        use.is_foreseen = false;
    return use;
}

Prepared prepare_step(const Step &step, const KernelTable &kernels, std::span<const Storage> storages,
                      std::span<const Binding> bindings, const Planning &planning) {
    const BoundTask bound(step, storages, bindings);
    return bound.task().visit(
        [&](const auto &task) { return prepare(kernels.kernel(task), task, planning); });
}

void prepare_steps(std::span<Step> steps, const KernelTable &kernels, std::span<const Storage> storages,
                   const Planning &planning) {
    std::array<std::vector<Binding>, 4> foreseen;
    for (const bool inputs : {false, true})
        for (const bool outputs : {false, true}) {
            const PortUse use{inputs, outputs};
            foreseen[use.index()] = foreseen_bindings(storages, use);
        }
    for (Step &step : steps) {
        look_at_ports(step, storages, [&](const Storage &, std::size_t) { step.touches_ports = true; });
        for (const auto &bindings : foreseen) {
            const std::size_t index = port_use(step, storages, bindings).index();
            Prepared &prepared = step.prepared[index];
            if (prepared.items == 0)
                prepared = prepare_step(step, kernels, storages, foreseen[index], planning);
        }
    }
}

} // namespace mpscnn::cpu
