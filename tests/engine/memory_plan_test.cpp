// Tests plans that place the buffers of a network in one arena.

#include "engine/backend/memory_plan.h"

#include <algorithm>
#include <cstdint>
#include <string>

#include "tests/cpp/check.h"

using namespace mpscnn;
using engine::BufferLifetime;
using engine::MemoryPlan;

namespace {

/// Return true if buffers are aligned, inside the arena, and do not overlap while both are alive.
bool valid(const std::vector<BufferLifetime> &buffers, const MemoryPlan &plan) {
    if (plan.offsets.size() != buffers.size()) return false;
    for (std::size_t i = 0; i < buffers.size(); ++i) {
        if (plan.offsets[i] % MemoryPlan::alignment != 0) return false;
        if (plan.offsets[i] + buffers[i].bytes > plan.bytes) return false;
        for (std::size_t j = 0; j < i; ++j) {
            const bool alive = buffers[i].first <= buffers[j].last && buffers[j].first <= buffers[i].last;
            const bool apart = plan.offsets[i] + buffers[i].bytes <= plan.offsets[j] ||
                               plan.offsets[j] + buffers[j].bytes <= plan.offsets[i];
            if (alive && !apart) return false;
        }
    }
    return true;
}

/// Return the lower bound for the arena: the largest sum of buffers that are alive in one step.
std::size_t brute_force_peak(const std::vector<BufferLifetime> &buffers) {
    int steps = 0;
    for (const BufferLifetime &buffer : buffers) steps = std::max(steps, buffer.last + 1);
    std::size_t peak = 0;
    for (int step = 0; step < steps; ++step) {
        std::size_t live = 0;
        for (const BufferLifetime &buffer : buffers)
            if (buffer.first <= step && step <= buffer.last) live += (buffer.bytes + 63) / 64 * 64;
        peak = std::max(peak, live);
    }
    return peak;
}

class Random {
public:
    explicit Random(std::uint32_t seed) : state_(seed) {}
    std::uint32_t below(std::uint32_t limit) {
        state_ = state_ * 1664525u + 1013904223u; // Numerical Recipes
        return (state_ >> 8) % limit;
    }

private:
    std::uint32_t state_;
};

std::size_t image(std::size_t side, std::size_t channels) { return side * side * channels * sizeof(float); }

/// Inverted residuals (expand, depthwise, project with the block's input added) as in MobileNetV2 1.0/224.
std::vector<BufferLifetime> mobilenet_v2() {
    struct Block {
        std::size_t expansion, channels, repeats, stride;
    };
    const Block blocks[] = {{1, 16, 1, 1}, {6, 24, 2, 2},  {6, 32, 3, 2}, {6, 64, 4, 2},
                            {6, 96, 3, 1}, {6, 160, 3, 2}, {6, 320, 1, 1}};
    std::vector<BufferLifetime> buffers{{image(112, 32), 0, 1}};
    std::size_t side = 112, channels = 32, last = 0;
    int step = 1;
    for (const Block &block : blocks)
        for (std::size_t i = 0; i < block.repeats; ++i) {
            const std::size_t stride = i == 0 ? block.stride : 1, expanded = channels * block.expansion;
            if (block.expansion > 1) {
                buffers.push_back({image(side, expanded), step, step + 1});
                ++step;
            }
            side /= stride;
            buffers.push_back({image(side, expanded), step, step + 1});
            ++step;
            if (stride == 1 && channels == block.channels) buffers[last].last = step;
            channels = block.channels;
            last = buffers.size();
            buffers.push_back({image(side, channels), step, step + 1});
            ++step;
        }
    return buffers;
}

} // namespace

TEST(a_chain_needs_its_two_largest_neighbours) {
    const std::vector<BufferLifetime> chain{
        {1000, 0, 1}, {3000, 1, 2}, {500, 2, 3}, {2000, 3, 4}, {100, 4, 5}};
    const MemoryPlan plan = engine::plan_memory(chain);
    CHECK(valid(chain, plan));
    CHECK(plan.bytes == 1024 + 3008);
}

TEST(mobilenet_v2_needs_no_more_than_is_alive_at_once) {
    const std::vector<BufferLifetime> buffers = mobilenet_v2();
    const MemoryPlan plan = engine::plan_memory(buffers);
    CHECK(valid(buffers, plan));
    CHECK(plan.bytes == brute_force_peak(buffers));
    CHECK(plan.bytes <= 7'000'000);
}

TEST(random_buffers_never_collide) {
    Random random(1);
    for (int round = 0; round < 300; ++round) {
        std::vector<BufferLifetime> buffers;
        const std::uint32_t count = 1 + random.below(40);
        for (std::uint32_t i = 0; i < count; ++i) {
            const int first = static_cast<int>(random.below(20));
            buffers.push_back({random.below(5000), first, first + static_cast<int>(random.below(6))});
        }
        const MemoryPlan plan = engine::plan_memory(buffers);
        CHECK(valid(buffers, plan));
        CHECK(engine::peak_live_bytes(buffers) == brute_force_peak(buffers));
        CHECK(plan.bytes >= brute_force_peak(buffers));
    }
}

TEST(random_chains_with_skip_connections_come_close_to_the_bound) {
    Random random(2);
    std::size_t total = 0, bound = 0;
    for (int round = 0; round < 300; ++round) {
        std::vector<BufferLifetime> buffers;
        for (int step = 0; step < 40; ++step) {
            const int length = random.below(5) == 0 ? 3 : 1;
            buffers.push_back({64 * (1 + random.below(200)), step, step + length});
        }
        const MemoryPlan plan = engine::plan_memory(buffers);
        CHECK(valid(buffers, plan));
        total += plan.bytes;
        bound += brute_force_peak(buffers);
    }
    CHECK(total <= bound + bound / 20);
}

TEST(no_buffers_need_no_memory) {
    CHECK(engine::plan_memory({}).bytes == 0);
    CHECK(engine::plan_memory({{0, 0, 3}, {0, 1, 2}}).bytes == 0);
}

TEST(impossible_sizes_are_refused) {
    const std::size_t huge = static_cast<std::size_t>(-1);
    CHECK_THROWS(engine::plan_memory({{huge, 0, 1}}), ErrorKind::shape, "address space");
    CHECK_THROWS(engine::plan_memory({{huge / 2 + 9, 0, 1}, {huge / 2 + 9, 1, 1}}), ErrorKind::shape,
                 "address space");
}
