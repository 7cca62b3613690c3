#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "core/aligned_buffer.h"
#include "cpu/cpu_plan.h"
#include "cpu/thread_pool.h"
#include "engine/backend.h"

namespace mpscnn::cpu {

/// Runs plans on the processor: owns their arena, the threads and each thread's scratch memory.
class CpuExecutor : public engine::Executor {
public:
    CpuExecutor(std::shared_ptr<ThreadPool> pool, bool check_finite)
        : pool_(std::move(pool)), check_finite_(check_finite) {}

    void prepare(const engine::Plan &plan) override;
    void run(const engine::Plan &plan, std::span<const engine::TensorView> inputs,
             std::span<const engine::TensorView> outputs) override;

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

    void bring_in(const CpuPlan &plan, std::span<const engine::TensorView> inputs);
    void run_step(const CpuPlan &plan, const Step &step);
    void check_inputs(const CpuPlan &plan) const;
    void hand_out(const CpuPlan &plan, std::span<const engine::TensorView> outputs);

    std::shared_ptr<ThreadPool> pool_;
    bool check_finite_;
    AlignedBuffer<std::byte> arena_, scratch_;
    std::size_t worker_scratch_ = 0; ///< bytes for each thread
    std::uint64_t chains_run_ = 0;   ///< tells what one left in scratch from what another did
    std::vector<Binding> bindings_;  ///< of the storages, for the run under way
};

} // namespace mpscnn::cpu
