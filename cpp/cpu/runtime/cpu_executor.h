#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "core/aligned_buffer.h"
#include "cpu/plan/cpu_plan.h"
#include "cpu/runtime/thread_pool.h"
#include "engine/run/backend.h"

namespace mpscnn::cpu {

/// Runs plans on the processor: owns their arena, the threads and each thread's scratch memory.
class CpuExecutor : public engine::Executor {
public:
    CpuExecutor(std::shared_ptr<ThreadPool> pool, bool check_finite)
        : pool_(std::move(pool)), check_finite_(check_finite) {}

    void prepare(const engine::Plan &plan) override;
    void run(const engine::Plan &plan, std::span<const engine::TensorView> inputs,
             std::span<const engine::TensorView> outputs) override;

    /// The same for a hook of profile_hook.h. It is reported of steps by their number in the plan, and of
    /// copies to or from the caller's memory by the number of steps and the storage's.
    template <class Hook>
    void run_hooked(const engine::Plan &plan, std::span<const engine::TensorView> inputs,
                    std::span<const engine::TensorView> outputs, Hook &hook);
    /// What the hook is reported of, in the order of the numbers; nothing of storages that are never copied.
    std::vector<engine::StepDescription> describe_steps(const engine::Plan &plan,
                                                        std::span<const engine::TensorView> inputs,
                                                        std::span<const engine::TensorView> outputs);

private:
    /// The given plan as this executor runs it: for its threads, and with all results in the arena where they
    /// are to be checked.
    const CpuPlan &own_variant(const engine::Plan &given) const;
    void allocate(const CpuPlan &plan);
    void bind_to_arena(const CpuPlan &plan);
    void bind_to_caller(const CpuPlan &plan, std::span<const engine::TensorView> inputs,
                        std::span<const engine::TensorView> outputs);
    std::size_t scratch_bytes(const CpuPlan &plan) const;
    void reserve_scratch(std::size_t bytes);
    /// For the bindings_: the plan's own, or what is prepared again for strides that it has not foreseen.
    const Prepared &prepared_for(const CpuPlan &plan, const Step &step);
    const Prepared &prepare_anew(const CpuPlan &plan, const Step &step);

    /// Checks the arguments and lets bindings_ be those of a run with them.
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
        std::uint64_t step = 0; ///< that next_item is of
    };
    std::vector<StepWorker> workers_;
    std::uint64_t steps_ = 0;       ///< run so far
    std::vector<Binding> bindings_; ///< of the storages, for the run under way

    struct Unforeseen {
        std::uint64_t plan;
        const Step *step;
        std::vector<Binding> bindings;
        PlanMemory memory;
        Prepared prepared;
    };
    std::list<Unforeseen> unforeseen_; ///< those used last at the front
};

} // namespace mpscnn::cpu
