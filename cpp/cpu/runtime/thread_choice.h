#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace mpscnn::cpu {

/// Chooses the number of threads that a session uses for a plan. It measures runs with all threads, with half
/// of them, with a quarter and so on down to one. No rule can replace these measurements. The best number
/// depends on the distance between cores, on other processes (a thread that waits for a core delays all
/// others), and on whether threads have fallen asleep since the last run. So the measurement is repeated from
/// time to time, and when runs take much longer than before.
class ThreadChoice {
public:
    explicit ThreadChoice(int maximum);
    /// Use this number of threads without trials.
    static ThreadChoice exactly(int threads);

    /// Return the number of threads for the next run.
    int threads() const { return counts_[current_]; }
    /// Record the duration of a run. Call this after each run that used threads() threads.
    void took(double microseconds);
    /// Return the best number of threads so far. The number is preliminary until is_settled(): until the
    /// first trial has ended, or the runs have turned out to be too long for a trial.
    int chosen() const { return counts_[chosen_]; }
    bool is_settled() const { return settled_; }
    /// Return the numbers of threads that may be tried, largest first.
    const std::vector<int> &counts() const { return counts_; }

private:
    explicit ThreadChoice(std::vector<int> counts);
    bool should_try(double microseconds);
    void begin_trial();
    void choose(std::size_t tried);

    double median(std::size_t count);
    std::int64_t affordable_pause(std::size_t tried);

    std::vector<int> counts_;                ///< numbers of threads, from all to one
    std::vector<std::vector<double>> times_; ///< microseconds in the last trial, by number of threads
    std::size_t current_ = 0, chosen_ = 0;
    bool is_trial_ = false, was_tried_ = false, settled_ = false;
    double best_ = 0;        ///< the lowest median time in the current trial
    std::size_t run_ = 0;    ///< runs so far with the number that is tried
    std::int64_t runs_left_; ///< runs until the next trial
    std::int64_t pause_;     ///< runs between two trials
    /// The usual duration of a run: the median of the last trial, or the minimum before the first trial.
    double usual_ = 0;
    int late_runs_ = 0; ///< late runs minus runs in time, at least 0
};

} // namespace mpscnn::cpu
