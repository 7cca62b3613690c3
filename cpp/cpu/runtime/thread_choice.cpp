#include "cpu/runtime/thread_choice.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace mpscnn::cpu {

namespace {

/// Return how often this number of threads is measured in a trial. Times with several threads vary more,
/// because one of them may have to wait for a core.
std::size_t runs_to_try(int threads) { return threads == 1 ? 3 : 15; }

/// The number of runs before the first trial, in which threads start and caches are cold.
constexpr int first_runs = 2;
/// The numbers of runs between trials. The pause is shorter while fewer threads than all are fastest, because
/// the reason for this often passes soon.
constexpr std::int64_t pause_with_fewer = 20, pause_with_all = 100, longest_pause = 3200;
/// If a run with all threads usually takes more than this number of microseconds, fewer threads are not tried
/// unless runs become late. Long runs benefit from more threads, and users would notice a trial.
constexpr double longest_tried = 5000;
/// While fewer threads than all stay best, the pauses grow until trials lose only this share of the time.
constexpr double trial_share = 0.01;
/// A trial does not go on to fewer threads after a number that takes longer than the best one by this factor.
constexpr double hopeless = 1.5;
/// The factor by which more threads must be faster to be chosen over fewer.
constexpr double worth_more_threads = 1.03;
/// A run is late if it takes longer than usual by this factor. If late runs outnumber the others by
/// max_late_runs, a new trial begins.
constexpr double late = 1.5;
constexpr int max_late_runs = 6;

std::vector<int> halves_of(int maximum) {
    std::vector<int> counts;
    for (int count = maximum; count > 1; count /= 2) counts.push_back(count);
    counts.push_back(1);
    return counts;
}

} // namespace

ThreadChoice::ThreadChoice(int maximum) : ThreadChoice(halves_of(maximum)) {}

ThreadChoice ThreadChoice::exactly(int threads) { return ThreadChoice(std::vector{threads}); }

ThreadChoice::ThreadChoice(std::vector<int> counts)
    : counts_(std::move(counts)), settled_(counts_.size() == 1), runs_left_(first_runs),
      pause_(pause_with_all) {
    for (int count : counts_) times_.emplace_back(runs_to_try(count));
}

void ThreadChoice::took(double microseconds) {
    if (counts_.size() == 1) return;
    if (!is_trial_) {
        if (should_try(microseconds)) begin_trial();
        settled_ |= !is_trial_ && runs_left_ > first_runs;
        return;
    }
    // Measure one number of threads after another instead of alternating, because threads without work fall
    // asleep.
    times_[current_][run_] = microseconds;
    if (++run_ < times_[current_].size()) return;
    run_ = 0;
    best_ = std::min(best_, median(current_));
    if (median(current_++) > hopeless * best_ || current_ == counts_.size()) choose(current_);
}

bool ThreadChoice::should_try(double microseconds) {
    if (!was_tried_) usual_ = usual_ > 0 ? std::min(usual_, microseconds) : microseconds;
    late_runs_ = std::max(0, late_runs_ + (microseconds > late * usual_ ? 1 : -1));
    const bool is_late = late_runs_ >= max_late_runs;
    if (--runs_left_ > 0 && !is_late) return false;
    runs_left_ = pause_;
    return usual_ <= longest_tried || is_late || chosen_ != 0;
}

void ThreadChoice::begin_trial() {
    is_trial_ = true;
    run_ = 0;
    current_ = 0;
    late_runs_ = 0;
    best_ = std::numeric_limits<double>::infinity();
}

double ThreadChoice::median(std::size_t count) {
    std::vector<double> &times = times_[count];
    const auto middle = times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2);
    std::nth_element(times.begin(), middle, times.end());
    return *middle;
}

/// End a trial of the first `tried` numbers of threads: choose the fewest threads whose time is close to the
/// best.
void ThreadChoice::choose(std::size_t tried) {
    const std::size_t before = chosen_;
    for (std::size_t i = 0; i < tried; ++i)
        if (median(i) <= best_ * worth_more_threads) chosen_ = i;
    is_trial_ = false;
    was_tried_ = settled_ = true;
    current_ = chosen_;
    usual_ = median(chosen_);
    // Pause longer while the best number stays the same.
    pause_ = chosen_ == before ? std::min(2 * pause_, chosen_ == 0 ? longest_pause : affordable_pause(tried))
             : chosen_ == 0 ? pause_with_all
                               : pause_with_fewer;
    runs_left_ = pause_;
}

/// Return the longest useful pause between trials, in runs, while fewer threads than all are chosen. With
/// this pause, trials lose trial_share of the time. The pause does not grow further, because only a trial can
/// show that more threads would be faster again.
std::int64_t ThreadChoice::affordable_pause(std::size_t tried) {
    double lost = 0;
    for (std::size_t i = 0; i < tried; ++i)
        lost += static_cast<double>(times_[i].size()) * (median(i) - usual_);
    return std::clamp(static_cast<std::int64_t>(lost / (trial_share * usual_)), pause_with_fewer,
                      longest_pause);
}

} // namespace mpscnn::cpu
