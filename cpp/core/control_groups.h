#pragma once

// Limits that Linux control groups set, of version 1, of version 2, or of both in one system. Elsewhere there
// are none.

#include <cstdint>
#include <string>

namespace mpscnn::platform {

/// Processors' worth of time that this process may use (1.5: one and a half); 0 without a limit. Every group
/// from the process's own up to the highest that is mounted counts: the strictest one decides.
///
/// /proc/self/cgroup names the groups and /proc/self/mountinfo says where their files are. `root` is a folder
/// that stands for "/", for tests.
double processor_quota(const std::string &root = {});

/// Bytes that this process may use, in the same way; 0 without a limit.
std::uint64_t memory_limit(const std::string &root = {});

} // namespace mpscnn::platform
