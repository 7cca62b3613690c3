#pragma once

// Profiler hooks, which a run of a plan calls before and after its steps. The executors' code is a template
// over the hook, so without a profile it compiles to code without measurements.

#include <chrono>
#include <cstdint>
#include <vector>

#include "cpu/plan/batch_steps.h"

namespace mpscnn::cpu {

struct NoHook {
    template <class Body> void step(std::size_t, Body &&body) { body(); }
    template <class Body> void item(int, Body &&body) { body(); }
    NoHook together() { return {}; }
    NoHook alone(std::int64_t, int) { return {}; }
};

/// Measures the times of steps in several runs, one after another.
class ProfileHook {
public:
    ProfileHook(int threads, const BatchSteps &parts)
        : parts_(parts), threads_(static_cast<std::size_t>(threads)) {}

    /// The hook for steps that all threads compute together.
    class Together {
    public:
        Together(ProfileHook &hook, std::size_t first) : hook_(hook), first_(first) {}
        template <class Body> void step(std::size_t number, Body &&body) {
            step_ = first_ + number;
            const std::int64_t begin = hook_.now();
            body();
            hook_.together_.push_back({step_, engine::WorkSpan::all_threads, {begin, hook_.now()}});
        }
        template <class Body> void item(int worker, Body &&body) { hook_.work(step_, worker, body); }

    private:
        ProfileHook &hook_;
        std::size_t first_, step_ = 0;
    };

    /// The hook for the steps of a group of images that one thread computes by itself.
    class Alone {
    public:
        Alone(ProfileHook &hook, std::size_t first, int worker)
            : hook_(hook), first_(first), worker_(worker) {}
        template <class Body> void step(std::size_t number, Body &&body) {
            const std::int64_t spent = hook_.work(first_ + number, worker_, body);
            hook_.threads_[static_cast<std::size_t>(worker_)].spent[first_ + number] += spent;
        }
        template <class Body> void item(int, Body &&body) { body(); }

    private:
        ProfileHook &hook_;
        std::size_t first_;
        int worker_;
    };

    Together together() { return {*this, parts_.first_together()}; }
    Alone alone(std::int64_t images, int worker) { return {*this, parts_.first_alone(images), worker}; }

    template <class Body> engine::RunTimes run(Body &&body) {
        together_.clear(); // keeps memory for the next run
        for (Thread &thread : threads_) {
            thread.work.clear();
            thread.spent.assign(parts_.steps().size(), 0);
        }
        start_ = Clock::now();
        body();
        return times(now());
    }

private:
    using Clock = std::chrono::steady_clock;
    struct alignas(64) Thread { // aligned, because threads must not write to the same cache line
        std::vector<engine::WorkSpan> work;
        std::vector<std::int64_t> spent; ///< for each step: nanoseconds that this thread spent on it
    };

    std::int64_t now() const {
        return std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - start_).count();
    }

    template <class Body> std::int64_t work(std::size_t step, int worker, Body &&body) {
        const std::int64_t begin = now();
        body();
        const engine::TimeSpan time{begin, now()};
        threads_[static_cast<std::size_t>(worker)].work.push_back({step, worker, time});
        return time.duration();
    }

    engine::RunTimes times(std::int64_t duration) const {
        engine::RunTimes times{duration, std::vector<double>(parts_.steps().size()), together_};
        for (const engine::WorkSpan &span : together_)
            times.steps[span.step] += static_cast<double>(span.time.duration());
        for (const Thread &thread : threads_) {
            for (std::size_t step = 0; step < times.steps.size(); ++step)
                times.steps[step] +=
                    static_cast<double>(thread.spent[step]) / static_cast<double>(threads_.size());
            times.work.insert(times.work.end(), thread.work.begin(), thread.work.end());
        }
        return times;
    }

    const BatchSteps &parts_;
    Clock::time_point start_;
    std::vector<engine::WorkSpan> together_;
    std::vector<Thread> threads_;
};

} // namespace mpscnn::cpu
