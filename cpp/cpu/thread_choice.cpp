#include "cpu/thread_choice.h"

#include <algorithm>

namespace mpscnn::cpu {

namespace {

/// Runs of a number in a trial. Those of several threads differ more, as one of them may have to wait.
std::size_t runs_to_try(int threads) { return threads == 1 ? 3 : 15; }

constexpr int first_runs = 2; ///< not judged: they start threads and meet cold caches
/// Fewer threads than all may be for a moment only.
constexpr std::int64_t pause_with_fewer = 20, pause_with_all = 100, longest_pause = 3200;
/// Runs that take longer always gain from threads, and a trial would be noticed.
constexpr double longest_tried = 5000; // microseconds
/// What more threads must gain.
constexpr double worth_more_threads = 1.03;
/// So much longer than usual is late; after so many such runs things have changed.
constexpr double late = 1.5;
constexpr int most_late_runs = 6;

} // namespace

ThreadChoice::ThreadChoice(int most) : runs_left_(first_runs), pause_(pause_with_all) {
    for (int count = most; count > 1; count /= 2) counts_.push_back(count);
    counts_.push_back(1);
    settled_ = counts_.size() == 1;
    for (int count : counts_) times_.emplace_back(runs_to_try(count));
}

void ThreadChoice::took(double microseconds) {
    if (counts_.size() == 1) return;
    if (!is_trial_) {
        if (should_try(microseconds)) begin_trial();
        settled_ |= !is_trial_ && runs_left_ > first_runs;
        return;
    }
    // One number after the other: threads that are not used in between fall asleep.
    times_[current_][run_] = microseconds;
    if (++run_ < times_[current_].size()) return;
    run_ = 0;
    if (++current_ == counts_.size()) choose();
}

bool ThreadChoice::should_try(double microseconds) {
    late_runs_ = std::max(0, late_runs_ + (usual_ > 0 && microseconds > late * usual_ ? 1 : -1));
    if (--runs_left_ > 0 && late_runs_ < most_late_runs) return false;
    runs_left_ = pause_;
    return (usual_ > 0 ? usual_ : microseconds) <= longest_tried;
}

void ThreadChoice::begin_trial() {
    is_trial_ = true;
    run_ = 0;
    current_ = 0;
    late_runs_ = 0;
}

double ThreadChoice::median(std::size_t count) {
    std::vector<double> &times = times_[count];
    const auto middle = times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2);
    std::nth_element(times.begin(), middle, times.end());
    return *middle;
}

/// The fewest threads of those that are as good as the best.
void ThreadChoice::choose() {
    double best = median(0);
    for (std::size_t i = 1; i < counts_.size(); ++i) best = std::min(best, median(i));
    const std::size_t before = chosen_;
    for (std::size_t i = 0; i < counts_.size(); ++i)
        if (median(i) <= best * worth_more_threads) chosen_ = i;
    is_trial_ = false;
    settled_ = true;
    current_ = chosen_;
    usual_ = median(chosen_);
    // What changes is looked at more often.
    pause_ = chosen_ == before ? std::min(2 * pause_, longest_pause)
             : chosen_ == 0    ? pause_with_all
                               : pause_with_fewer;
    runs_left_ = pause_;
}

} // namespace mpscnn::cpu
