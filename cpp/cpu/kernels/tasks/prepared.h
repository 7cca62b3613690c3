#pragma once

// What kernels decide once for a task and read in each of its items.

#include <cstddef>
#include <cstdint>

namespace mpscnn::cpu {

class PlanMemory;

/// Bytes of data that caches hold: of the first level and, counted for one core, of the second one; of the
/// last level all of it.
struct CacheSizes {
    std::int64_t first = 32 << 10, second = 512 << 10, last = 8 << 20;
};

/// What a kernel has decided for a task.
struct Prepared {
    std::int64_t items = 0;
    std::size_t scratch_bytes = 0; ///< for each worker, aligned to 64 bytes
    const void *plan = nullptr;    ///< the kernel's own
    const char *variant =
        nullptr; ///< which of several variants it takes, to be shown: "gathered"; null: the usual

    template <class Plan> __attribute__((always_inline)) const Plan &plan_as() const {
        return *static_cast<const Plan *>(plan);
    }
};

/// On a multiple of 16 bytes; null when there is no memory.
void *take_plan_memory(PlanMemory &memory, std::size_t bytes) noexcept;

/// What `prepare` plans for, and where it keeps plans: these have neither constructors nor destructors.
struct Planning {
    int threads = 1;
    CacheSizes caches;
    PlanMemory *memory = nullptr;
    /// A pointer, as kernels need nothing of what other files define.
    void *(*take)(PlanMemory &, std::size_t) noexcept = take_plan_memory;

    /// The same for one thread.
    __attribute__((always_inline)) Planning alone() const { return {1, caches, memory, take}; }
    /// `count` of them, not initialised; null when there is no memory, which whoever prepares tells of.
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

/// One of the threads that share a task's items, as kernels see it.
struct Worker {
    std::byte *scratch = nullptr;
    /// After the last item that it has computed of this run of the task, if scratch is as this has left it.
    std::int64_t next_item = -1;
};

} // namespace mpscnn::cpu
