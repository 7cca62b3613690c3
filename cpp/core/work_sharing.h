#pragma once

#include <cstdint>
#include <functional>

namespace mpscnn {

/// Does the items [begin, end) of some work.
using RangeWork = std::function<void(std::int64_t begin, std::int64_t end)>;

/// Distributes work: calls it for ranges that cover [0, items), with `chunk` items each if several threads
/// share them. Returns when all are done. Throws the work's exceptions.
using WorkSharing = std::function<void(std::int64_t items, std::int64_t chunk, const RangeWork &work)>;

/// Do all work on the calling thread.
inline void share_with_nobody(std::int64_t items, std::int64_t, const RangeWork &work) { work(0, items); }

} // namespace mpscnn
