#pragma once

// Complexity is a defect like a crash: an input of some bytes may take so much time and no more.

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <ctime>

/// Ends the fuzzer, which keeps the input, when its threads worked longer than a base and so much for each
/// byte. Processor time: other processes do not count. The numbers are some ten times what an
/// instrumented build takes for the slowest honest input, and a thousandth of what a quadratic one would
/// take.
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
