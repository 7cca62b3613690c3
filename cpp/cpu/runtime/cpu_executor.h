#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "core/aligned_buffer.h"
#include "cpu/machine/thread_pool.h"
#include "cpu/plan/cpu_plan.h"
#include "engine/backend/backend.h"

namespace mpscnn::cpu {

/// Runs plans on the processor. It owns the arena (memory of intermediate results), the threads, and each
/// thread's scratch memory.
class CpuExecutor : public engine::Executor {
public:
    CpuExecutor(std::shared_ptr<ThreadPool> pool, bool check_finite)
        : pool_(std::move(pool)), check_finite_(check_finite) {}

    void prepare(const engine::Plan &plan) override;
    void run(const engine::Plan &plan, std::span<const engine::TensorView> inputs,
             std::span<const engine::TensorView> outputs) override;

    /// Run and call a profiler hook (profile_hook.h) for each step, with the step's number in the plan.
    /// Copies to or from the caller's memory have the number of steps plus the number of the storage.
    template <class Hook>
    void run_hooked(const engine::Plan &plan, std::span<const engine::TensorView> inputs,
                    std::span<const engine::TensorView> outputs, Hook &hook);
    /// Return the descriptions of all steps, and then of the copy of each storage, in the order of the hook's
    /// numbers. Storages in the arena are never copied, so their description is empty.
    std::vector<engine::StepDescription> describe_steps(const engine::Plan &plan,
                                                        std::span<const engine::TensorView> inputs,
                                                        std::span<const engine::TensorView> outputs);

private:
    /// Return the variant of the plan for this executor's number of threads. If results are checked, it has
    /// no chains, so every step stores its result in memory.
    const CpuPlan &own_variant(const engine::Plan &given) const;
    void allocate(const CpuPlan &plan);
    void bind_to_arena(const CpuPlan &plan);
    void bind_to_caller(const CpuPlan &plan, std::span<const engine::TensorView> inputs,
                        std::span<const engine::TensorView> outputs);
    std::size_t scratch_bytes(const CpuPlan &plan) const;
    void reserve_scratch(std::size_t bytes);
    /// Return a step's preparation for `bindings_`. The plan has it, unless the caller's arrays have strides
    /// that the plan does not expect.
    const Prepared &prepared_for(const CpuPlan &plan, const Step &step);
    const Prepared &prepare_unforeseen(const CpuPlan &plan, const Step &step);

    /// Check the arguments of a run, and set bindings_ to the addresses and strides of all storages.
    void bind(const CpuPlan &plan, std::span<const engine::TensorView> inputs,
              std::span<const engine::TensorView> outputs);
    bool is_copied(const Storage &storage, std::size_t index, Storage::Home home) const;
    template <class Hook>
    void copy_ports(const CpuPlan &plan, Storage::Home home, std::span<const engine::TensorView> tensors,
                    Hook &hook);
    template <class Hook> void run_step(const CpuPlan &plan, const Step &step, Hook &hook);
    void check_inputs(const CpuPlan &plan) const;

    std::shared_ptr<ThreadPool> pool_;
    bool check_finite_;
    AlignedBuffer<std::byte> arena_, scratch_;
    std::size_t worker_scratch_ = 0; ///< bytes for each thread
    struct alignas(64) StepWorker : Worker {
        std::uint64_t step = 0; ///< the step to which next_item belongs
    };
    std::vector<StepWorker> workers_;
    std::uint64_t steps_ = 0;       ///< number of steps run so far
    std::vector<Binding> bindings_; ///< for each storage, during a run

    struct Unforeseen {
        std::uint64_t plan;
        const Step *step;
        std::vector<Binding> bindings;
        PlanMemory memory;
        Prepared prepared;
    };
    std::list<Unforeseen> unforeseen_; ///< most recently added first
};

} // namespace mpscnn::cpu
