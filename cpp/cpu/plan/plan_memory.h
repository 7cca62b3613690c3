#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "core/aligned_buffer.h"
#include "cpu/isa/kernels.h"

namespace mpscnn::cpu {

/// Owns the memory of kernels' prepared data, such as tables.
class PlanMemory {
public:
    PlanMemory() = default;
    /// Allow at most this many bytes.
    explicit PlanMemory(std::uint64_t max_bytes) : max_(max_bytes) {}
    PlanMemory(PlanMemory &&) = default;
    PlanMemory &operator=(PlanMemory &&) = default;

    /// Make all memory free for other data. Memory that take() has returned must no longer be used.
    void forget();
    /// Return memory aligned to 16 bytes. Return null if it would exceed the limit or cannot be allocated.
    void *take(std::size_t bytes) noexcept;
    /// Throws std::bad_alloc if an allocation has failed, and ShapeError if the limit was exceeded.
    void require_enough() const;

private:
    std::vector<AlignedBuffer<std::byte>> blocks_;
    std::size_t block_ = 0, used_ = 0; ///< the current block, and the bytes used of it
    std::uint64_t taken_ = 0, max_ = UINT64_MAX;
    bool is_exhausted_ = false;
};

/// Return the data that a kernel prepares for a task. The data is in planning.memory. Throws like
/// PlanMemory::require_enough().
template <class TaskType>
Prepared prepare(const Kernel<TaskType> &kernel, const TaskType &task, const Planning &planning) {
    const Prepared prepared = kernel.prepare(task, planning);
    planning.memory->require_enough();
    return prepared;
}

} // namespace mpscnn::cpu
