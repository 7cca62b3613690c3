#pragma once

// A backend's measurements of profiled runs. engine/run/profile.h turns them into a readable table.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace mpscnn::engine {

/// One step of a plan: what a backend does at a time, mostly one kernel call.
struct StepDescription {
    /// Nodes of the canonical graph that it computes, or a part of; several where they are fused, none for a
    /// copy of an input or output.
    std::vector<std::string> layers;
    std::string kind; ///< "depthwise", "pointwise", "pooling", ...: a few for all networks
    std::string
        kernel; ///< the kind, and which of its kernels: "depthwise 3x3/2", "convolution 3x3 (gathered)"
    std::int64_t bytes = 0; ///< of the tensors that it reads and writes and of its weights
    /// A batch may be computed in parts whose steps differ; this one belongs to such a part and computes so
    /// much of the batch.
    std::size_t part = 0;
    double share_of_batch = 1;
};

/// Nanoseconds since the run began.
struct TimeSpan {
    std::int64_t begin = 0, end = 0;

    std::int64_t duration() const { return end - begin; }
};

/// Time spent on a step at a stretch, by one thread or by all of them together.
struct WorkSpan {
    static constexpr int all_threads = -1;

    std::size_t step = 0;
    int thread = all_threads; ///< 0 is the calling one
    TimeSpan time;
};

struct RunTimes {
    std::int64_t duration = 0; ///< from before the first step until after the last
    /// Nanoseconds of each step. Where threads compute apart from each other, the mean over all threads: so
    /// the steps' times add up to the run's, but for waiting.
    std::vector<double> steps;
    std::vector<WorkSpan> work; ///< kept of the fastest run only
};

/// Floating-point operations per second that the processor reaches by FMAs alone.
struct Peak {
    double one_thread = 0, all_threads = 0;
};

struct ExecutionProfile {
    std::vector<StepDescription> steps;
    std::vector<RunTimes> runs;
    std::size_t fastest = 0;     ///< of the runs
    int threads = 0;             ///< of the session; 0 where they are not the backend's
    std::string instruction_set; ///< "avx512"; empty where there is none
    std::optional<Peak> peak;    ///< where it can be measured

    /// Adds a run, and forgets the work of all but the fastest.
    void add(RunTimes run) {
        const bool best = runs.empty() || run.duration < runs[fastest].duration;
        if (!best) run.work = {};
        if (best && !runs.empty()) runs[fastest].work = {};
        runs.push_back(std::move(run));
        if (best) fastest = runs.size() - 1;
    }
};

/// Without steps that no run did, in the order in which they began.
ExecutionProfile in_order(const ExecutionProfile &profile);

} // namespace mpscnn::engine
