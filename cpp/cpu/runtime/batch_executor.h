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

/// Runs plans with several threads. Images of a batch that are independent of each other run in groups
/// (cut_batch()), one thread for each group. Everything else runs with all threads, or, if the user left
/// their number open, with the number that ThreadChoice measures as the fastest.
class BatchExecutor : public engine::Executor {
public:
    /// If options.threads is 0, measurements choose the number of threads.
    explicit BatchExecutor(const engine::SessionOptions &options);

    void prepare(const engine::Plan &plan) override;
    void run(const engine::Plan &plan, std::span<const engine::TensorView> inputs,
             std::span<const engine::TensorView> outputs) override;
    void share(std::int64_t items, std::int64_t chunk, const RangeWork &work) override;
    engine::ExecutionProfile profile(const engine::Plan &plan, std::span<const engine::TensorView> inputs,
                                     std::span<const engine::TensorView> outputs, int runs) override;

private:
    using Views = std::vector<engine::TensorView>;

    /// The executor of one thread that runs groups of images by itself.
    struct Alone {
        explicit Alone() : executor(std::make_shared<ThreadPool>(1), false) {}
        CpuExecutor executor;
        Views inputs, outputs; ///< views of the current group
    };
    /// The schedule of a plan: how its batch is divided, and with how many threads it runs.
    struct Schedule {
        std::uint64_t plan; ///< the plan's number
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
    /// Run with the current number of threads of the pool.
    void run_hooked(const CpuPlan &plan, const BatchCut &cut, std::span<const engine::TensorView> inputs,
                    std::span<const engine::TensorView> outputs, ProfileHook &hook);
    BatchSteps describe_steps(const CpuPlan &plan, const BatchCut &cut,
                              std::span<const engine::TensorView> inputs,
                              std::span<const engine::TensorView> outputs);

    std::shared_ptr<ThreadPool> pool_;
    bool chooses_threads_;
    bool check_finite_;
    CpuExecutor together_;
    std::vector<std::unique_ptr<Alone>> alone_; ///< by thread; made at first use
    Views inputs_, outputs_;                    ///< views of the images after the groups
    std::vector<Schedule> schedules_;           ///< for the most recent plans
};

} // namespace mpscnn::cpu
