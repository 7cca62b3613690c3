#pragma once

#include <string>

namespace mpscnn::engine {

/// Whether this build of mpscnn found a backend of this identity right before, on record in the cache
/// directory.
bool was_right_before(const std::string &identity);

/// Puts it on record; where nothing can be written, the next process checks again.
void remember_as_right(const std::string &identity) noexcept;

} // namespace mpscnn::engine
