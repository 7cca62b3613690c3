#pragma once

#include <cstdint>

#include "cpu/plan/cpu_plan.h"

namespace mpscnn::cpu {

/// How a batch is computed: `groups` groups of images, each by one thread on its own, and after them `rest`
/// images whose every step all threads share. Without groups the steps of the whole batch are shared.
struct BatchCut {
    std::int64_t images = 0; ///< in all groups
    std::int64_t groups = 0;
    std::int64_t rest = 0;

    std::int64_t group_begin(std::int64_t group) const { return images * group / groups; }
    std::int64_t largest_group() const { return (images + groups - 1) / groups; }
    std::int64_t smallest_group() const { return images / groups; }
};

/// Threads that need not wait for each other scale best. And few images at a time keep what lies between two
/// steps in L2, where many would send it to memory and back; but every group reads the
/// weights of dense layers, which takes longer than to multiply them by a few images.
BatchCut cut_batch(const CpuPlan &plan, int threads);

} // namespace mpscnn::cpu
