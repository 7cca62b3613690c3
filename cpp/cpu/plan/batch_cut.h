#pragma once

#include <cstdint>

#include "cpu/plan/cpu_plan.h"

namespace mpscnn::cpu {

/// The division of a batch. The first images form `groups` groups, and one thread computes each group. The
/// last `rest` images are computed by all threads together, step by step. Without groups, all threads compute
/// the whole batch together.
struct BatchCut {
    std::int64_t images = 0; ///< total of all groups
    std::int64_t groups = 0;
    std::int64_t rest = 0;

    std::int64_t group_begin(std::int64_t group) const { return images * group / groups; }
    std::int64_t largest_group() const { return (images + groups - 1) / groups; }
    std::int64_t smallest_group() const { return images / groups; }
};

/// Divide a batch among threads. Groups scale better than shared steps, because threads do not wait for each
/// other. In a small group, the tensors between steps stay in L2. But each group reads the weights of dense
/// layers, which takes longer than multiplying them by a few images.
BatchCut cut_batch(const CpuPlan &plan, int threads);

} // namespace mpscnn::cpu
