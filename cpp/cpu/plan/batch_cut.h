#pragma once

#include <cstdint>

#include "cpu/plan/cpu_plan.h"

namespace mpscnn::cpu {

/// The division of a batch. First come `groups` groups of images, each computed by one thread. Then come
/// `rest` images; all threads share each of their steps. Without groups, all threads share the steps of the
/// whole batch.
struct BatchCut {
    std::int64_t images = 0; ///< total of all groups
    std::int64_t groups = 0;
    std::int64_t rest = 0;

    std::int64_t group_begin(std::int64_t group) const { return images * group / groups; }
    std::int64_t largest_group() const { return (images + groups - 1) / groups; }
    std::int64_t smallest_group() const { return images / groups; }
};

/// Divide a batch. Threads that do not wait for each other scale best. A small group keeps the tensors
/// between steps in L2. But each group reads the weights of dense layers, which takes longer than multiplying
/// them by a few images.
BatchCut cut_batch(const CpuPlan &plan, int threads);

} // namespace mpscnn::cpu
