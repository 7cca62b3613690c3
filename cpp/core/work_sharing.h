#pragma once

#include <cstdint>
#include <functional>

namespace mpscnn {

/// A piece of work that can be done for any range of items [begin, end).
using RangeWork = std::function<void(std::int64_t begin, std::int64_t end)>;

/// A function that distributes work among threads. It calls `work` for ranges that cover [0, items). If
/// several threads share them, a range has about `chunk` items. It returns when all items are done, and
/// throws the work's exceptions.
using WorkSharing = std::function<void(std::int64_t items, std::int64_t chunk, const RangeWork &work)>;

/// Do all work on the calling thread.
inline void run_on_calling_thread(std::int64_t items, std::int64_t, const RangeWork &work) { work(0, items); }

} // namespace mpscnn
