#pragma once

#include <cstdint>
#include <vector>

namespace mpscnn::cpu {

/// How many threads a plan's runs should have, found by timing runs with all threads, a half of them, a
/// quarter ... and one. What is best no rule knows: it depends on how far apart the processor's cores lie, on
/// what else they do, and on whether threads have fallen asleep since the last run. So it is tried anew from
/// time to time.
class ThreadChoice {
public:
    explicit ThreadChoice(int most);

    /// For the next run.
    int threads() const { return counts_[current_]; }
    /// Must be called with the duration of each run that had threads() threads.
    void took(double microseconds);
    /// The best so far, and the number of runs after which the first trial has found it.
    int chosen() const { return counts_[chosen_]; }
    int runs_to_choose() const;
    /// All numbers that threads() may return.
    const std::vector<int> &counts() const { return counts_; }

private:
    void begin_trial(int rounds);
    void choose();

    std::vector<int> counts_;   ///< from the most to one
    std::vector<double> least_; ///< of the trial under way
    std::size_t current_ = 0, chosen_ = 0;
    int rounds_left_ = 0;        ///< of the trial under way
    std::int64_t runs_left_ = 0; ///< until the next one
    std::int64_t pause_;         ///< runs between two trials
};

} // namespace mpscnn::cpu
