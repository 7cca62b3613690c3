#pragma once

#include <memory>
#include <span>
#include <vector>

#include "cpu/plan/batch_cut.h"
#include "cpu/plan/batch_steps.h"
#include "cpu/runtime/cpu_executor.h"
#include "cpu/runtime/profile_hook.h"
#include "cpu/runtime/thread_choice.h"

namespace mpscnn::cpu {

/// Runs plans, batches of independent images in the groups that cut_batch() makes of them, everything else
/// with all of its threads or, if their number was left to it, as many as ThreadChoice finds best.
class BatchExecutor : public engine::Executor {
public:
    /// `threads` 0: as many as pay off in this process.
    explicit BatchExecutor(const engine::SessionOptions &options);

    void prepare(const engine::Plan &plan) override;
    void run(const engine::Plan &plan, std::span<const engine::TensorView> inputs,
             std::span<const engine::TensorView> outputs) override;
    void share(std::int64_t items, std::int64_t chunk, const RangeWork &work) override;
    engine::ExecutionProfile profile(const engine::Plan &plan, std::span<const engine::TensorView> inputs,
                                     std::span<const engine::TensorView> outputs, int runs) override;

private:
    using Views = std::vector<engine::TensorView>;

    /// One thread's: runs whole groups.
    struct Alone {
        explicit Alone() : executor(std::make_shared<ThreadPool>(1), false) {}
        CpuExecutor executor;
        Views inputs, outputs; ///< of the group under way
    };
    /// How a plan is run.
    struct Schedule {
        std::uint64_t plan; ///< its number
        BatchCut cut;
        ThreadChoice choice;
    };

    Schedule *known_schedule(const CpuPlan &plan);
    Schedule &add_schedule(const CpuPlan &plan);
    void prepare_together(const CpuPlan &plan, const Schedule &schedule);
    void prepare_groups(const CpuPlan &plan, const Schedule &schedule);
    void run_together(const CpuPlan &plan, Schedule &schedule, std::span<const engine::TensorView> inputs,
                      std::span<const engine::TensorView> outputs);
    template <class Hook>
    void run_groups(const CpuPlan &plan, const BatchCut &cut, std::span<const engine::TensorView> inputs,
                    std::span<const engine::TensorView> outputs, Hook &hook);
    /// With the number of threads that the pool has for now.
    void run_hooked(const CpuPlan &plan, const BatchCut &cut, std::span<const engine::TensorView> inputs,
                    std::span<const engine::TensorView> outputs, ProfileHook &hook);
    BatchSteps describe_steps(const CpuPlan &plan, const BatchCut &cut,
                              std::span<const engine::TensorView> inputs,
                              std::span<const engine::TensorView> outputs);

    std::shared_ptr<ThreadPool> pool_;
    bool chooses_threads_;
    bool check_finite_;
    CpuExecutor together_;
    std::vector<std::unique_ptr<Alone>> alone_; ///< by thread; made when they are needed
    Views inputs_, outputs_;                    ///< of the images after the groups
    std::vector<Schedule> schedules_;           ///< of the last plans
};

} // namespace mpscnn::cpu
