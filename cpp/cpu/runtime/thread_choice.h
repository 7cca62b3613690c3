#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace mpscnn::cpu {

/// Chooses the number of threads that a session uses for a plan. It measures runs with all threads, half of
/// them, a quarter and so on down to one. No rule can replace the measurement. The best number depends on the
/// distance of the processor's cores, on other processes (a thread that waits for a core holds up all
/// others), and on whether threads have fallen asleep since the last run. So it tries again from time to
/// time, and when runs take much longer than before.
class ThreadChoice {
public:
    explicit ThreadChoice(int most);
    /// Use this number of threads without trials.
    static ThreadChoice exactly(int threads);

    /// Return the number of threads for the next run.
    int threads() const { return counts_[current_]; }
    /// Must be called with the duration of each run that used threads() threads.
    void took(double microseconds);
    /// Return the best number so far; is_settled() is true once the first trial has ended, if there is one.
    int chosen() const { return counts_[chosen_]; }
    bool is_settled() const { return settled_; }
    /// Return all numbers that threads() may return.
    const std::vector<int> &counts() const { return counts_; }

private:
    explicit ThreadChoice(std::vector<int> counts);
    bool should_try(double microseconds);
    void begin_trial();
    void choose(std::size_t tried);

    double median(std::size_t count);
    std::int64_t affordable_pause(std::size_t tried);

    std::vector<int> counts_;                ///< from all threads to one
    std::vector<std::vector<double>> times_; ///< of the last trial
    std::size_t current_ = 0, chosen_ = 0;
    bool is_trial_ = false, was_tried_ = false, settled_ = false;
    double best_ = 0;        ///< the lowest median time in the current trial
    std::size_t run_ = 0;    ///< runs so far with the current number
    std::int64_t runs_left_; ///< until the next trial
    std::int64_t pause_;     ///< runs between two trials
    /// Usual microseconds of a run, from the last trial; before the first trial the minimum.
    double usual_ = 0;
    int late_runs_ = 0; ///< number of recent late runs minus runs in time
};

} // namespace mpscnn::cpu
