#pragma once

// Limits of the numbers of threads and requests that a caller may request.

#include "core/failure.h"

namespace mpscnn::c_api {

inline constexpr int max_threads = 1024;
/// The largest number of requests in flight. Each request has separate staging memory, and a Metal queue has
/// 64 command buffers.
inline constexpr int max_inflight = 32;

/// Return `given`, or `automatic` if `given` is 0. Throws ParameterError unless 0 <= given <= maximum.
inline int number_or(int automatic, int given, int maximum, const char *field) {
    if (given < 0 || given > maximum)
        fail(ErrorKind::parameter, {field, " must be 0 (automatic) to ", maximum, ", got ", given});
    return given == 0 ? automatic : given;
}

/// Check a number of threads. 0 stands for the number of cores that this process may use.
inline int thread_count(int given) { return number_or(0, given, max_threads, "threads"); }

} // namespace mpscnn::c_api
