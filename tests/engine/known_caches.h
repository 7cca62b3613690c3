#pragma once

// Set fixed cache sizes for a test program on every machine, because the division into groups depends on
// them.

#include <cstdlib>

namespace known_caches {

inline const int set = setenv("MPSCNN_CACHE_SIZES", "32768,1048576,33554432", 1);

} // namespace known_caches
