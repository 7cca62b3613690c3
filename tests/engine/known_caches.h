#pragma once

// Caches of one size in a whole test program, on every machine: what is computed in groups depends on them.

#include <cstdlib>

namespace known_caches {

inline const int set = setenv("MPSCNN_CACHES", "32768,1048576,33554432", 1);

} // namespace known_caches
