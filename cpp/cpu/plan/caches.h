#pragma once

#include "cpu/kernels/tasks/prepared.h"

namespace mpscnn::cpu {

/// Return this machine's cache sizes. The environment variable MPSCNN_CACHE_SIZES overrides them with the
/// bytes of L1, L2 and the last level, such as "32768,524288,8388608"; anything else throws ParameterError.
/// The sizes affect how work is divided and which layers run as one step. They do not affect the bits of
/// results.
CacheSizes machine_caches();

/// Return the bytes of L2 that tensors may fill.
std::int64_t usable_l2_bytes(const CacheSizes &caches);
/// Return the bytes of the last-level cache that one program may expect, since it is shared with other
/// programs and the system.
std::int64_t usable_last_level_bytes(const CacheSizes &caches);

} // namespace mpscnn::cpu
