#pragma once

#include <memory>
#include <span>
#include <vector>

#include "cpu/batch_cut.h"
#include "cpu/cpu_executor.h"

namespace mpscnn::cpu {

/// Runs plans, batches of independent images in the groups that cut_batch() makes of them.
class BatchExecutor : public engine::Executor {
public:
    /// `threads` 0: as many as pay off in this process.
    explicit BatchExecutor(const engine::SessionOptions &options);

    void prepare(const engine::Plan &plan) override;
    void run(const engine::Plan &plan, std::span<const engine::TensorView> inputs,
             std::span<const engine::TensorView> outputs) override;

private:
    using Views = std::vector<engine::TensorView>;

    /// One thread's: runs whole groups.
    struct Alone {
        explicit Alone() : executor(std::make_shared<ThreadPool>(1), false) {}
        CpuExecutor executor;
        Views inputs, outputs; ///< of the group under way
    };

    void cut(const CpuPlan &plan);

    std::shared_ptr<ThreadPool> pool_;
    bool check_finite_;
    CpuExecutor together_;
    std::vector<std::unique_ptr<Alone>> alone_; ///< by thread; made when they are needed
    Views inputs_, outputs_;                    ///< of the rest
    std::uint64_t cut_plan_ = 0;                ///< number of the plan that cut_ is for
    BatchCut cut_;
};

} // namespace mpscnn::cpu
