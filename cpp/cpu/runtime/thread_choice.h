#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace mpscnn::cpu {

/// How many of its threads a session uses for a plan if it may choose, found by timing runs with all of them,
/// a half, a quarter ... and one. What is best no rule knows: it depends on how far apart the processor's
/// cores lie, on what other processes do (a thread that waits for its turn on a core holds up all others),
/// and on whether threads have fallen asleep since the last run. So it is tried again from time to time, and
/// when runs take much longer than they did.
class ThreadChoice {
public:
    explicit ThreadChoice(int most);
    /// Nothing is tried.
    static ThreadChoice exactly(int threads);

    /// For the next run.
    int threads() const { return counts_[current_]; }
    /// Must be called with the duration of each run that had threads() threads.
    void took(double microseconds);
    /// The best so far, and whether the first trial, if there is one, has found it.
    int chosen() const { return counts_[chosen_]; }
    bool is_settled() const { return settled_; }
    /// All numbers that threads() may return.
    const std::vector<int> &counts() const { return counts_; }

private:
    explicit ThreadChoice(std::vector<int> counts);
    bool should_try(double microseconds);
    void begin_trial();
    void choose(std::size_t tried);

    double median(std::size_t count);
    std::int64_t affordable_pause(std::size_t tried);

    std::vector<int> counts_;                ///< from the most to one
    std::vector<std::vector<double>> times_; ///< of the last trial
    std::size_t current_ = 0, chosen_ = 0;
    bool is_trial_ = false, was_tried_ = false, settled_ = false;
    double best_ = 0;        ///< median of the trial's numbers so far
    std::size_t run_ = 0;    ///< of the number under trial
    std::int64_t runs_left_; ///< until the next one
    std::int64_t pause_;     ///< runs between two trials
    double usual_ = 0;       ///< microseconds of a run, as the last trial found; the least before one
    int late_runs_ = 0;      ///< lately, less those that were not
};

} // namespace mpscnn::cpu
