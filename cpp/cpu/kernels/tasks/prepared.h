#pragma once

// The decisions that kernels make once for a task, before its work items run.

#include <cstddef>
#include <cstdint>

namespace mpscnn::cpu {

class PlanMemory;

/// Data cache sizes in bytes: L1 and L2 for each core, and the whole last-level cache.
struct CacheSizes {
    std::int64_t first = 32 << 10, second = 512 << 10, last = 8 << 20;
};

/// A kernel's decisions for one task.
struct Prepared {
    std::int64_t items = 0;
    std::size_t scratch_bytes = 0; ///< bytes for each worker, aligned to 64 bytes
    const void *plan = nullptr;    ///< private to the kernel
    /// The variant that the kernel chose, for display, such as "gathered"; null: the usual one.
    const char *variant = nullptr;

    template <class Plan> __attribute__((always_inline)) const Plan &plan_as() const {
        return *static_cast<const Plan *>(plan);
    }
};

/// Return memory aligned to 16 bytes, or null if there is none left.
void *take_plan_memory(PlanMemory &memory, std::size_t bytes) noexcept;

/// The input of `prepare`, and the memory for its plans. Plans have neither constructors nor destructors.
struct Planning {
    int threads = 1;
    CacheSizes caches;
    PlanMemory *memory = nullptr;
    /// The function that allocates memory. It is a pointer, because kernel files may not call functions of
    /// other files.
    void *(*take)(PlanMemory &, std::size_t) noexcept = take_plan_memory;

    /// Return the same planning for one thread.
    __attribute__((always_inline)) Planning alone() const { return {1, caches, memory, take}; }
    /// Return memory for `count` plans, which are not initialised, or null. The caller of `prepare` reports
    /// missing memory.
    template <class Plan> __attribute__((always_inline)) Plan *make(std::int64_t count = 1) const {
        const auto bytes = static_cast<std::size_t>(count) * sizeof(Plan);
        return static_cast<Plan *>(take(*memory, bytes));
    }
    template <class Plan>
    __attribute__((always_inline)) Prepared keep(const Plan &plan, std::int64_t items,
                                                 std::size_t scratch_bytes = 0) const {
        Plan *const kept = make<Plan>();
        if (!kept) return {};
        *kept = plan;
        return {items, scratch_bytes, kept, nullptr};
    }
};

/// One of the threads that run the work items of a task.
struct Worker {
    std::byte *scratch = nullptr;
    /// The item after the last one that this worker computed in this run of the task, if its scratch memory
    /// has not changed since; otherwise -1.
    std::int64_t next_item = -1;
};

} // namespace mpscnn::cpu
