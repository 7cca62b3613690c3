#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "core/aligned_buffer.h"
#include "cpu/isa/kernels.h"

namespace mpscnn::cpu {

/// Memory of what kernels prepare, which lives as long as this.
class PlanMemory {
public:
    PlanMemory() = default;
    /// At most this many bytes.
    explicit PlanMemory(std::uint64_t most) : max_(most) {}
    PlanMemory(PlanMemory &&) = default;
    PlanMemory &operator=(PlanMemory &&) = default;

    /// Uses the memory for new plans.
    void forget();
    void *take(std::size_t bytes) noexcept;
    /// Throws std::bad_alloc if there was not enough, ShapeError for more than is allowed.
    void require_enough() const;

private:
    std::vector<AlignedBuffer<std::byte>> blocks_;
    std::size_t block_ = 0, used_ = 0; ///< the block in use, and bytes of it
    std::uint64_t taken_ = 0, max_ = UINT64_MAX;
    bool is_exhausted_ = false;
};

/// What a kernel has prepared for a task, with the memory of it.
template <class TaskType>
Prepared prepare(const Kernel<TaskType> &kernel, const TaskType &task, const Planning &planning) {
    const Prepared prepared = kernel.prepare(task, planning);
    planning.memory->require_enough();
    return prepared;
}

} // namespace mpscnn::cpu
