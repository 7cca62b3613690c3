#pragma once

#include <cstdint>
#include <functional>

namespace mpscnn {

/// Does the items [begin, end) of some work.
using RangeWork = std::function<void(std::int64_t begin, std::int64_t end)>;

/// Has ranges that cover [0, items) done, of `chunk` items each where several threads share them, and returns
/// when all are. Throws what the work throws.
using WorkSharing = std::function<void(std::int64_t items, std::int64_t chunk, const RangeWork &work)>;

/// All by the calling thread.
inline void share_with_nobody(std::int64_t items, std::int64_t, const RangeWork &work) { work(0, items); }

} // namespace mpscnn
