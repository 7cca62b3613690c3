#pragma once

// Excessive time is a defect like a crash, so the time for an input is limited according to its size.

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <ctime>

/// Stops the fuzzer, which keeps the input, if the processor time exceeds a constant plus a bound for each
/// byte of the input. The limits are some ten times the time of an instrumented build for the slowest
/// ordinary input, and a thousandth of the time that a quadratic algorithm would take.
class TimeBudget {
public:
    explicit TimeBudget(std::size_t bytes) : bytes_(bytes), start_(now()) {}
    TimeBudget(const TimeBudget &) = delete;
    TimeBudget &operator=(const TimeBudget &) = delete;
    ~TimeBudget() {
        constexpr double base = 3.0, of_a_byte = 20e-6;
        const double taken = now() - start_, allowed = base + of_a_byte * static_cast<double>(bytes_);
        if (taken <= allowed) return;
        std::fprintf(stderr, "too slow: %zu bytes took %.1f s, allowed are %.1f s\n", bytes_, taken, allowed);
        std::abort();
    }

private:
    static double now() {
        timespec time{};
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
        return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
    }

    std::size_t bytes_;
    double start_;
};
