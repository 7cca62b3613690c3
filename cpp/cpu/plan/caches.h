#pragma once

#include "cpu/kernels/tasks/prepared.h"

namespace mpscnn::cpu {

/// Of this machine, as the system tells, or what the environment variable MPSCNN_CACHES says instead: bytes
/// of the first, second and last level, such as "32768,524288,8388608". Throws ParameterError for anything
/// else. What depends on it: how work is cut, which layers run as one step, and no bit of a result.
CacheSizes machine_caches();

/// Of the second level, as much as tensors may fill.
std::int64_t usable_l2_bytes(const CacheSizes &caches);
/// Of the last level, as much as one program may count on: others use it too, and it holds what the system
/// puts there.
std::int64_t usable_last_level_bytes(const CacheSizes &caches);

} // namespace mpscnn::cpu
