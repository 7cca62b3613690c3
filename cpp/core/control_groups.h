#pragma once

// Limits of Linux control groups, version 1, version 2, or both in one system. Other systems have none.

#include <cstdint>
#include <string>

namespace mpscnn::platform {

/// Return the processor time that this process may use, in processors (1.5 means one and a half); 0 without a
/// limit. The strictest limit counts, from the process's own control group up to the highest mounted one.
///
/// /proc/self/cgroup names the groups, and /proc/self/mountinfo their directories. `root` is a folder that
/// replaces "/" in tests.
double processor_quota(const std::string &root = {});

/// Return the bytes that this process may use, by the same rules; 0 without a limit.
std::uint64_t memory_limit(const std::string &root = {});

} // namespace mpscnn::platform
