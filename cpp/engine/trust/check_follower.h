#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace mpscnn::engine {

/// A function that follows the check of a device. See mpscnn_set_check_callback.
using CheckCallback = int (*)(const char *device, std::int64_t done, std::int64_t all, void *context);
void set_check_callback(CheckCallback callback, void *context);

/// Tell the function that follows checks that `done` of `all` cases of a device or a network have run. Return
/// true if it wants the check, or the wait for it, to end.
bool follower_stops(const std::string &what, std::size_t done, std::size_t all);

} // namespace mpscnn::engine
