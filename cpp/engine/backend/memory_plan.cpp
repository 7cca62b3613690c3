#include "engine/backend/memory_plan.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <map>
#include <numeric>
#include <string>
#include <utility>

#include "core/error.h"

namespace mpscnn::engine {

namespace {

std::size_t aligned(std::size_t bytes) {
    if (bytes > std::numeric_limits<std::size_t>::max() - MemoryPlan::alignment)
        fail(ErrorKind::shape, {"a tensor of ", bytes, " bytes exceeds the address space"});
    return (bytes + MemoryPlan::alignment - 1) / MemoryPlan::alignment * MemoryPlan::alignment;
}

std::size_t sum(std::size_t a, std::size_t b) {
    if (a > std::numeric_limits<std::size_t>::max() - b)
        fail(ErrorKind::shape, "the tensors of this network exceed the address space");
    return a + b;
}

bool overlap(const BufferLifetime &a, const BufferLifetime &b) {
    return a.first <= b.last && b.first <= a.last;
}

/// Places buffers one after another, each into the smallest sufficient gap between buffers with overlapping
/// lifetimes.
class BestFit {
public:
    explicit BestFit(const std::vector<BufferLifetime> &buffers) : buffers_(buffers) {
        plan_.offsets.assign(buffers.size(), 0);
    }

    MemoryPlan run(const std::vector<std::size_t> &order) {
        for (std::size_t index : order) place(index);
        return std::move(plan_);
    }

private:
    void place(std::size_t index) {
        const std::size_t bytes = aligned(buffers_[index].bytes);
        std::size_t end = 0, best = 0, smallest_gap = std::numeric_limits<std::size_t>::max();
        for (std::size_t other : placed_) { // in the order of their offsets
            if (!overlap(buffers_[index], buffers_[other])) continue;
            const std::size_t offset = plan_.offsets[other];
            if (offset >= end && offset - end >= bytes && offset - end < smallest_gap) {
                best = end;
                smallest_gap = offset - end;
            }
            end = std::max(end, offset + aligned(buffers_[other].bytes));
        }
        if (smallest_gap == std::numeric_limits<std::size_t>::max()) best = end;
        plan_.offsets[index] = best;
        plan_.bytes = std::max(plan_.bytes, sum(best, bytes));
        const auto behind = std::upper_bound(placed_.begin(), placed_.end(), best,
                                             [&](auto offset, auto i) { return offset < plan_.offsets[i]; });
        placed_.insert(behind, index);
    }

    const std::vector<BufferLifetime> &buffers_;
    std::vector<std::size_t> placed_;
    MemoryPlan plan_;
};

} // namespace

std::size_t peak_live_bytes(const std::vector<BufferLifetime> &buffers) {
    // Maps each step to two sums of bytes: of the buffers that begin to live at the step, and of the buffers
    // whose last step was the one before.
    std::map<int, std::pair<std::size_t, std::size_t>> changes;
    for (const BufferLifetime &buffer : buffers) {
        auto &begin = changes[buffer.first].first;
        begin = sum(begin, aligned(buffer.bytes));
        changes[buffer.last + 1].second += aligned(buffer.bytes);
    }
    std::size_t live = 0, peak = 0;
    for (const auto &[step, change] : changes) {
        live = sum(live - change.second, change.first);
        peak = std::max(peak, live);
    }
    return peak;
}

MemoryPlan plan_memory(const std::vector<BufferLifetime> &buffers) {
    std::vector<std::size_t> order(buffers.size());
    std::iota(order.begin(), order.end(), std::size_t{0});

    // Try large buffers first. Small ones then fit into gaps between them.
    std::stable_sort(order.begin(), order.end(),
                     [&](auto a, auto b) { return buffers[a].bytes > buffers[b].bytes; });
    MemoryPlan best = BestFit(buffers).run(order);
    // No plan can need less than the peak number of live bytes, so the search stops at a plan of that size.
    const std::size_t bound = peak_live_bytes(buffers);
    const auto try_order = [&](auto before) {
        if (best.bytes == bound) return;
        std::stable_sort(order.begin(), order.end(), before);
        MemoryPlan plan = BestFit(buffers).run(order);
        if (plan.bytes < best.bytes) best = std::move(plan);
    };
    const auto length = [&](std::size_t i) {
        return static_cast<std::int64_t>(buffers[i].last) - buffers[i].first;
    };
    // Try long-lived buffers first, and larger ones first among equal lifetimes. A skip connection across
    // many steps is then at the arena's beginning.
    try_order([&](auto a, auto b) { return length(a) > length(b); });
    try_order([&](auto a, auto b) { return buffers[a].first < buffers[b].first; });
    return best;
}

} // namespace mpscnn::engine
