#include "cpu/cpu_executor.h"

#include <algorithm>
#include <atomic>
#include <optional>

#include "core/alternatives.h"
#include "cpu/bound_task.h"
#include "cpu/finite_check.h"
#include "cpu/run_watch.h"
#include "cpu/step_description.h"
#include "cpu/tensor_port.h"

namespace mpscnn::cpu {

using engine::TensorView;

namespace {

/// Tells what a chain left in scratch from what any other did: in the whole process, since one session's
/// memory becomes another's. No small number, which other kernels' scratch might hold.
std::uint64_t number_of_chain_run() {
    constexpr std::uint64_t step = 0x9e3779b97f4a7c15;
    static std::atomic<std::uint64_t> last{0};
    return last.fetch_add(step, std::memory_order_relaxed) + step;
}

/// Below this many elements for each thread, copying is not worth waking another one.
constexpr std::int64_t copied_at_once = 16 * 1024;

/// Calls copy(begin, end) for all rows of a tensor, shared between the threads.
template <class Watch, class Copy>
void copy_rows(ThreadPool &pool, const Extents &extents, Watch &watch, Copy copy) {
    const std::int64_t rows = extents.batch * extents.height, row = extents.width * extents.channels;
    const std::int64_t chunk = std::clamp<std::int64_t>(copied_at_once / row, 1, rows);
    pool.run(rows, chunk, [&](int worker, std::int64_t begin, std::int64_t end) {
        watch.item(worker, [&] { copy(begin, end); });
    });
}

/// "layer 'project3'", or for layers that one kernel computes "layer 'project3' or 'add3'".
std::string layers_text(const std::vector<std::string> &layers) {
    std::string text = layers.empty() ? "copy" : "layer ";
    for (std::size_t i = 0; i < layers.size(); ++i) text += (i > 0 ? " or " : "") + quoted(layers[i]);
    return text;
}

} // namespace

const CpuPlan &CpuExecutor::own_variant(const engine::Plan &given) const {
    return own_plan(given).variant({.threads = pool_->threads(), .enabled = !check_finite_});
}

void CpuExecutor::prepare(const engine::Plan &given) { allocate(own_variant(given)); }

void CpuExecutor::allocate(const CpuPlan &plan) {
    if (arena_.size() < plan.arena_bytes()) {
        arena_ = AlignedBuffer<std::byte>(); // frees the old one first
        arena_ = AlignedBuffer<std::byte>(plan.arena_bytes());
    }
    bindings_.resize(std::max(bindings_.size(), plan.storages().size()));
    bind_to_arena(plan);
    std::size_t needed = scratch_bytes(plan);
    // What kernels need may depend on strides: the other usual case is the caller's memory without gaps.
    for (std::size_t i = 0; i < plan.storages().size(); ++i) {
        const Storage &storage = plan.storages()[i];
        if (storage.home == Storage::Home::arena) continue;
        bindings_[i].strides =
            contiguous_strides(storage.extents, storage.extents.pixels() * storage.extents.channels);
        bindings_[i].own = false;
    }
    needed = std::max(needed, scratch_bytes(plan));
    reserve_scratch(needed);
}

std::size_t CpuExecutor::scratch_bytes(const CpuPlan &plan) const {
    std::size_t bytes = 0;
    for (const Step &step : plan.steps())
        visit_alternative(
            [&]<class TaskType>(const TaskType &) {
                const BoundTask<TaskType> bound(step, plan.storages(), bindings_);
                const Kernel<TaskType> &kernel = plan.network().kernels->kernel(bound.task);
                bytes = std::max(bytes, kernel.work(bound.task, pool_->threads()).scratch_bytes);
            },
            step.task);
    return bytes;
}

void CpuExecutor::reserve_scratch(std::size_t bytes) {
    if (bytes <= worker_scratch_) return;
    constexpr std::size_t line = 64; // threads share no cache line
    const std::size_t rounded = (bytes + line - 1) / line * line;
    scratch_ = AlignedBuffer<std::byte>(rounded * static_cast<std::size_t>(pool_->size()));
    worker_scratch_ = rounded;
}

void CpuExecutor::bind_to_arena(const CpuPlan &plan) {
    for (std::size_t i = 0; i < plan.storages().size(); ++i) {
        const Storage &storage = plan.storages()[i];
        bindings_[i] = {reinterpret_cast<float *>(arena_.data() + storage.offset), storage.strides, true};
    }
}

void CpuExecutor::bind_to_caller(const CpuPlan &plan, std::span<const TensorView> inputs,
                                 std::span<const TensorView> outputs) {
    const bool rounds_inputs = plan.network().precision == engine::Precision::float16;
    for (std::size_t i = 0; i < plan.storages().size(); ++i) {
        const Storage &storage = plan.storages()[i];
        std::optional<Binding> binding;
        if (storage.home == Storage::Home::input && !rounds_inputs)
            binding = bind_in_place(inputs[storage.port], storage);
        else if (storage.home == Storage::Home::output)
            binding = bind_in_place(outputs[storage.port], storage);
        if (binding) bindings_[i] = *binding;
    }
}

void CpuExecutor::bind(const CpuPlan &plan, std::span<const TensorView> inputs,
                       std::span<const TensorView> outputs) {
    plan.require_shapes(inputs, outputs);
    if (arena_.size() < plan.arena_bytes() || bindings_.size() < plan.storages().size()) allocate(plan);
    bind_to_arena(plan);
    bind_to_caller(plan, inputs, outputs);
}

void CpuExecutor::run(const engine::Plan &given, std::span<const TensorView> inputs,
                      std::span<const TensorView> outputs) {
    Unwatched nobody;
    run_watched(given, inputs, outputs, nobody);
}

/// Whether a run copies it between the caller's memory and the arena.
bool CpuExecutor::is_copied(const Storage &storage, std::size_t index, Storage::Home home) const {
    return storage.home == home && bindings_[index].own && (home == Storage::Home::output || storage.read);
}

template <class Watch>
void CpuExecutor::copy_ports(const CpuPlan &plan, Storage::Home home, std::span<const TensorView> tensors,
                             Watch &watch) {
    const bool reads = home == Storage::Home::input;
    const bool round = plan.network().precision == engine::Precision::float16;
    for (std::size_t i = 0; i < plan.storages().size(); ++i) {
        const Storage &storage = plan.storages()[i];
        if (!is_copied(storage, i, home)) continue;
        const TensorPort port(*plan.network().kernels, tensors[storage.port], storage.extents, bindings_[i]);
        watch.step(plan.steps().size() + i, [&] {
            copy_rows(*pool_, storage.extents, watch, [&](auto begin, auto end) {
                reads ? port.read(begin, end, round) : port.write(begin, end);
            });
        });
    }
}

template <class Watch>
void CpuExecutor::run_watched(const engine::Plan &given, std::span<const TensorView> inputs,
                              std::span<const TensorView> outputs, Watch &watch) {
    const CpuPlan &plan = own_variant(given);
    bind(plan, inputs, outputs);
    copy_ports(plan, Storage::Home::input, inputs, watch);
    if (check_finite_) check_inputs(plan);
    for (std::size_t i = 0; i < plan.steps().size(); ++i)
        watch.step(i, [&] { run_step(plan, plan.steps()[i], watch); });
    copy_ports(plan, Storage::Home::output, outputs, watch);
}

template void CpuExecutor::run_watched(const engine::Plan &, std::span<const TensorView>,
                                       std::span<const TensorView>, RunWatch::Together &);
template void CpuExecutor::run_watched(const engine::Plan &, std::span<const TensorView>,
                                       std::span<const TensorView>, RunWatch::Alone &);
template void CpuExecutor::run_watched(const engine::Plan &, std::span<const TensorView>,
                                       std::span<const TensorView>, Unwatched &);

std::vector<engine::StepDescription> CpuExecutor::describe_steps(const engine::Plan &given,
                                                                 std::span<const TensorView> inputs,
                                                                 std::span<const TensorView> outputs) {
    const CpuPlan &plan = own_variant(given);
    bind(plan, inputs, outputs);
    std::vector<engine::StepDescription> steps;
    for (const Step &step : plan.steps()) steps.push_back(describe(step, plan, bindings_, pool_->threads()));
    for (std::size_t i = 0; i < plan.storages().size(); ++i) {
        const Storage &storage = plan.storages()[i];
        if (storage.home == Storage::Home::arena)
            steps.emplace_back();
        else
            steps.push_back(describe_copy(
                storage, (storage.home == Storage::Home::input ? inputs : outputs)[storage.port]));
    }
    return steps;
}

void CpuExecutor::check_inputs(const CpuPlan &plan) const {
    for (std::size_t i = 0; i < plan.storages().size(); ++i) {
        const Storage &storage = plan.storages()[i];
        if (storage.home != Storage::Home::input || !storage.read) continue;
        const Region whole{static_cast<int>(i), storage.extents, storage.extents};
        if (const auto found = find_not_finite(whole.bind(bindings_[i], storage)))
            refuse_not_finite("input " + quoted(plan.network().graph.inputs()[storage.port].name), *found);
    }
}

template <class Watch> void CpuExecutor::run_step(const CpuPlan &plan, const Step &step, Watch &watch) {
    visit_alternative(
        [&]<class TaskType>(const TaskType &) {
            BoundTask<TaskType> bound(step, plan.storages(), bindings_);
            if constexpr (std::is_same_v<TaskType, ChainTask>) bound.task.run = number_of_chain_run();
            const Kernel<TaskType> &kernel = plan.network().kernels->kernel(bound.task);
            const int threads = pool_->threads();
            const Work work = kernel.work(bound.task, threads);
            reserve_scratch(work.scratch_bytes); // grows for unusual strides of the caller only
            const std::int64_t chunk = threads == 1 ? work.items : 1;
            pool_->run(work.items, chunk, [&](int worker, std::int64_t begin, std::int64_t end) {
                std::byte *scratch = scratch_.data() + static_cast<std::size_t>(worker) * worker_scratch_;
                watch.item(worker, [&] { kernel.run(bound.task, threads, begin, end, scratch); });
            });
            if (!check_finite_) return;
            if (const auto found = find_not_finite(bound.task.destination))
                refuse_not_finite(layers_text(step.layers), *found);
        },
        step.task);
}

} // namespace mpscnn::cpu
