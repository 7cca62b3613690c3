#include "cpu/runtime/cpu_executor.h"

#include <algorithm>
#include <optional>

#include "cpu/plan/bound_task.h"
#include "cpu/plan/caches.h"
#include "cpu/plan/step_description.h"
#include "cpu/plan/tensor_port.h"
#include "cpu/runtime/finite_check.h"
#include "cpu/runtime/profile_hook.h"

namespace mpscnn::cpu {

using engine::TensorView;

namespace {

/// The maximum number of steps that are kept prepared for unusual strides of callers' arrays.
constexpr std::size_t max_unforeseen = 64;

/// The minimum number of elements that a thread copies. For fewer, waking another thread costs more than it
/// saves.
constexpr std::int64_t copied_at_once = 16 * 1024;

/// Call copy(begin, end) for ranges that cover all rows of a tensor, shared among the threads.
template <class Hook, class Copy>
void copy_rows(ThreadPool &pool, const Extents &extents, Hook &hook, Copy copy) {
    const std::int64_t rows = extents.batch * extents.height, row = extents.width * extents.channels;
    const std::int64_t chunk = std::clamp<std::int64_t>(copied_at_once / row, 1, rows);
    pool.run(rows, chunk, [&](int worker, std::int64_t begin, std::int64_t end) {
        hook.item(worker, [&] { copy(begin, end); });
    });
}

/// Return "layer 'project3'". If one kernel computes several layers, return "layer 'project3' or 'add3'".
std::string layers_text(const std::vector<std::string> &layers) {
    std::string text = layers.empty() ? "copy" : "layer ";
    for (std::size_t i = 0; i < layers.size(); ++i) text += (i > 0 ? " or " : "") + quoted(layers[i]);
    return text;
}

} // namespace

// This class is not in the anonymous namespace, because GCC would warn about it in a unity build.

/// A step's kernel and its task with the addresses of its tensors in this run.
class BoundKernel {
public:
    BoundKernel(const CpuPlan &plan, const Step &step, std::span<const Binding> bindings)
        : bound_(step, plan.storages(), bindings) {
        bound_.task().visit([&]<class TaskType>(const TaskType &task) {
            kernel_ = &plan.network().kernels->kernel(task);
            task_ = &task;
            run_ = [](const void *kernel, const void *task, const Prepared &prepared, std::int64_t begin,
                      std::int64_t end, Worker &worker) {
                static_cast<const Kernel<TaskType> *>(kernel)->run(*static_cast<const TaskType *>(task),
                                                                   prepared, begin, end, worker);
            };
        });
    }

    void run(const Prepared &prepared, std::int64_t begin, std::int64_t end, Worker &worker) const {
        run_(kernel_, task_, prepared, begin, end, worker);
    }
    const ConstView &destination() const { return bound_.destination(); }

private:
    const BoundTask bound_;
    const void *kernel_, *task_;
    void (*run_)(const void *kernel, const void *task, const Prepared &, std::int64_t begin, std::int64_t end,
                 Worker &);
};

const CpuPlan &CpuExecutor::own_variant(const engine::Plan &given) const {
    return own_plan(given).variant({.threads = pool_->threads(), .enabled = !check_finite_});
}

void CpuExecutor::prepare(const engine::Plan &given) { allocate(own_variant(given)); }

void CpuExecutor::allocate(const CpuPlan &plan) {
    if (arena_.size() < plan.arena_bytes()) {
        arena_ = AlignedBuffer<std::byte>(); // free the old arena first
        arena_ = AlignedBuffer<std::byte>(plan.arena_bytes());
    }
    bindings_.resize(std::max(bindings_.size(), plan.storages().size()));
    reserve_scratch(scratch_bytes(plan));
}

std::size_t CpuExecutor::scratch_bytes(const CpuPlan &plan) const {
    std::size_t bytes = 0;
    for (const Step &step : plan.steps())
        for (const Prepared &prepared : step.prepared) bytes = std::max(bytes, prepared.scratch_bytes);
    return bytes;
}

void CpuExecutor::reserve_scratch(std::size_t bytes) {
    const auto threads = static_cast<std::size_t>(pool_->size());
    if (bytes <= worker_scratch_ && !workers_.empty()) return;
    constexpr std::size_t line = 64; // threads must not share a cache line
    const std::size_t rounded = (std::max(bytes, worker_scratch_) + line - 1) / line * line;
    scratch_ = AlignedBuffer<std::byte>(rounded * threads);
    worker_scratch_ = rounded;
    workers_.resize(threads);
    for (std::size_t i = 0; i < threads; ++i) workers_[i].scratch = scratch_.data() + i * rounded;
}

const Prepared &CpuExecutor::prepared_for(const CpuPlan &plan, const Step &step) {
    if (!step.touches_ports) return step.prepared[0];
    const PortUse use = port_use(step, plan.storages(), bindings_);
    if (use.is_foreseen) return step.prepared[use.index()];
    return prepare_unforeseen(plan, step);
}

/// Return a step's preparation for strides that the plan does not expect. The preparation is kept. It is made
/// again if a run has other strides than the run before it.
const Prepared &CpuExecutor::prepare_unforeseen(const CpuPlan &plan, const Step &step) {
    const auto bound_alike = [](const Binding &a, const Binding &b) {
        return a.strides == b.strides && a.own == b.own;
    };
    const std::span bindings(bindings_.data(), plan.storages().size());
    auto known = std::find_if(unforeseen_.begin(), unforeseen_.end(), [&](const Unforeseen &one) {
        return one.plan == plan.number() && one.step == &step;
    });
    if (known != unforeseen_.end() &&
        std::equal(bindings.begin(), bindings.end(), known->bindings.begin(), bound_alike))
        return known->prepared;
    if (known == unforeseen_.end()) {
        if (unforeseen_.size() == max_unforeseen) unforeseen_.pop_back();
        unforeseen_.emplace_front();
        known = unforeseen_.begin();
    }
    known->plan = 0; // invalid if the next line throws
    known->memory.forget();
    known->bindings.assign(bindings.begin(), bindings.end());
    known->prepared =
        prepare_step(step, *plan.network().kernels, plan.storages(), bindings,
                     {.threads = plan.threads(), .caches = machine_caches(), .memory = &known->memory});
    known->plan = plan.number(), known->step = &step;
    return known->prepared;
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
    NoHook nobody;
    run_hooked(given, inputs, outputs, nobody);
}

/// True if a run copies this input or output between the caller's memory and the arena.
bool CpuExecutor::is_copied(const Storage &storage, std::size_t index, Storage::Home home) const {
    return storage.home == home && bindings_[index].own && (home == Storage::Home::output || storage.read);
}

template <class Hook>
void CpuExecutor::copy_ports(const CpuPlan &plan, Storage::Home home, std::span<const TensorView> tensors,
                             Hook &hook) {
    const bool reads = home == Storage::Home::input;
    const bool round = plan.network().precision == engine::Precision::float16;
    for (std::size_t i = 0; i < plan.storages().size(); ++i) {
        const Storage &storage = plan.storages()[i];
        if (!is_copied(storage, i, home)) continue;
        const TensorPort port(*plan.network().kernels, tensors[storage.port], storage.extents, bindings_[i]);
        hook.step(plan.steps().size() + i, [&] {
            copy_rows(*pool_, storage.extents, hook, [&](auto begin, auto end) {
                reads ? port.read(begin, end, round) : port.write(begin, end);
            });
        });
    }
}

template <class Hook>
void CpuExecutor::run_hooked(const engine::Plan &given, std::span<const TensorView> inputs,
                             std::span<const TensorView> outputs, Hook &hook) {
    const CpuPlan &plan = own_variant(given);
    bind(plan, inputs, outputs);
    copy_ports(plan, Storage::Home::input, inputs, hook);
    if (check_finite_) check_inputs(plan);
    for (std::size_t i = 0; i < plan.steps().size(); ++i)
        hook.step(i, [&] { run_step(plan, plan.steps()[i], hook); });
    copy_ports(plan, Storage::Home::output, outputs, hook);
}

template void CpuExecutor::run_hooked(const engine::Plan &, std::span<const TensorView>,
                                      std::span<const TensorView>, ProfileHook::Together &);
template void CpuExecutor::run_hooked(const engine::Plan &, std::span<const TensorView>,
                                      std::span<const TensorView>, ProfileHook::Alone &);
template void CpuExecutor::run_hooked(const engine::Plan &, std::span<const TensorView>,
                                      std::span<const TensorView>, NoHook &);

std::vector<engine::StepDescription> CpuExecutor::describe_steps(const engine::Plan &given,
                                                                 std::span<const TensorView> inputs,
                                                                 std::span<const TensorView> outputs) {
    const CpuPlan &plan = own_variant(given);
    bind(plan, inputs, outputs);
    std::vector<engine::StepDescription> steps;
    for (const Step &step : plan.steps())
        steps.push_back(describe(step, plan, bindings_, prepared_for(plan, step)));
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

template <class Hook> void CpuExecutor::run_step(const CpuPlan &plan, const Step &step, Hook &hook) {
    const BoundKernel kernel(plan, step, bindings_);
    const Prepared &prepared = prepared_for(plan, step);
    // This call does nothing unless an earlier allocation failed or strides are unexpected.
    reserve_scratch(prepared.scratch_bytes);
    const std::int64_t chunk = plan.threads() == 1 ? prepared.items : 1;
    const std::uint64_t number = ++steps_;
    pool_->run(prepared.items, chunk, [&](int index, std::int64_t begin, std::int64_t end) {
        StepWorker &worker = workers_[static_cast<std::size_t>(index)];
        if (worker.step != number) worker.step = number, worker.next_item = -1;
        hook.item(index, [&] { kernel.run(prepared, begin, end, worker); });
    });
    if (!check_finite_) return;
    if (const auto found = find_not_finite(kernel.destination()))
        refuse_not_finite(layers_text(step.layers), *found);
}

} // namespace mpscnn::cpu
