#pragma once

// The measurements of profiled runs that a backend returns. engine/run/profile.h turns them into a readable
// table.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace mpscnn::engine {

/// One step of a plan: usually one kernel call.
struct StepDescription {
    /// The nodes of the canonical graph that this step computes, completely or in part. Fused nodes share a
    /// step. A copy of an input or output has no nodes.
    std::vector<std::string> layers;
    std::string kind;       ///< "depthwise", "pointwise", "pooling", ...: a small fixed set
    std::string kernel;     ///< the kind with its variant: "depthwise 3x3/2", "convolution 3x3 (gathered)"
    std::int64_t bytes = 0; ///< bytes of the step's tensors and weights
    /// A batch may be computed in parts whose steps differ. This step belongs to part number `part`, which
    /// has the fraction `share_of_batch` of the images.
    std::size_t part = 0;
    double share_of_batch = 1;
};

/// A time span in nanoseconds since the run began.
struct TimeSpan {
    std::int64_t begin = 0, end = 0;

    std::int64_t duration() const { return end - begin; }
};

/// A continuous span of work on a step, by one thread or by all threads together.
struct WorkSpan {
    static constexpr int all_threads = -1;

    std::size_t step = 0;
    int thread = all_threads; ///< number of the thread, 0 for the calling one; or all_threads
    TimeSpan time;
};

struct RunTimes {
    std::int64_t duration = 0; ///< nanoseconds from before the first step until after the last
    /// Nanoseconds of each step. If each thread runs the steps on its own images, this is the mean over the
    /// threads. The steps' times add up to the run's time, except for waiting.
    std::vector<double> steps;
    std::vector<WorkSpan> work; ///< kept for the fastest run only
};

/// The floating-point operations per second that the processor reaches with FMAs alone.
struct Peak {
    double one_thread = 0, all_threads = 0;
};

struct ExecutionProfile {
    std::vector<StepDescription> steps;
    std::vector<RunTimes> runs;
    std::size_t fastest = 0; ///< index of the fastest run
    int threads = 0;         ///< the session's threads; 0 if the device does not use the processor's threads
    std::string instruction_set; ///< "avx512"; empty if it does not apply
    std::optional<Peak> peak;    ///< set if the peak can be measured

    /// Add a run, and drop the work spans of all runs except the fastest.
    void add(RunTimes run) {
        const bool best = runs.empty() || run.duration < runs[fastest].duration;
        if (!best) run.work = {};
        if (best && !runs.empty()) runs[fastest].work = {};
        runs.push_back(std::move(run));
        if (best) fastest = runs.size() - 1;
    }
};

/// Return the profile in the order in which steps began, without steps that no run executed.
ExecutionProfile in_order(const ExecutionProfile &profile);

} // namespace mpscnn::engine
