#include "cpu/thread_choice.h"

#include <algorithm>
#include <limits>

namespace mpscnn::cpu {

namespace {

constexpr int first_runs = 2; ///< not judged: they start threads and meet cold caches
constexpr int trial_rounds = 3;
constexpr std::int64_t shortest_pause = 100, longest_pause = 3200;
/// Runs that take longer always gain from threads, and a trial would be noticed.
constexpr double longest_tried = 5000; // microseconds
/// What more threads must gain.
constexpr double worth_more_threads = 1.03;

} // namespace

ThreadChoice::ThreadChoice(int most) : runs_left_(first_runs), pause_(shortest_pause) {
    for (int count = most; count > 1; count /= 2) counts_.push_back(count);
    counts_.push_back(1);
    least_.resize(counts_.size());
}

int ThreadChoice::runs_to_choose() const {
    return first_runs + trial_rounds * static_cast<int>(counts_.size());
}

void ThreadChoice::took(double microseconds) {
    if (rounds_left_ == 0) {
        if (counts_.size() == 1 || --runs_left_ > 0) return;
        runs_left_ = pause_;
        if (microseconds <= longest_tried) begin_trial(trial_rounds);
        return;
    }
    least_[current_] = std::min(least_[current_], microseconds);
    if (++current_ < counts_.size()) return;
    current_ = 0;
    if (--rounds_left_ == 0) choose();
}

void ThreadChoice::begin_trial(int rounds) {
    rounds_left_ = rounds;
    current_ = 0;
    std::fill(least_.begin(), least_.end(), std::numeric_limits<double>::infinity());
}

/// The fewest threads of those that are as good as the best.
void ThreadChoice::choose() {
    const double best = *std::min_element(least_.begin(), least_.end());
    const std::size_t before = chosen_;
    for (std::size_t i = 0; i < counts_.size(); ++i)
        if (least_[i] <= best * worth_more_threads) chosen_ = i;
    current_ = chosen_;
    // What changes is looked at more often.
    pause_ = chosen_ == before ? std::min(2 * pause_, longest_pause) : shortest_pause;
    runs_left_ = pause_;
}

} // namespace mpscnn::cpu
