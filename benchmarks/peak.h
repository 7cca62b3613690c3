#pragma once

// The FMA peak that kernels are compared with.

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "cpu/isa/kernels.h"

namespace benchmark {

constexpr std::int64_t peak_rounds = 2000;

/// Return the number of floating-point operations of one call of run_peak_loop().
inline double peak_operations(const mpscnn::cpu::KernelTable &table) {
    return static_cast<double>(table.round_operations * peak_rounds);
}

/// Run FMAs and nothing else on one thread.
inline void run_peak_loop(const mpscnn::cpu::KernelTable &table) { table.fma_loop(peak_rounds); }

using Clock = std::chrono::steady_clock;

inline double seconds_since(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
}

template <class Action> double seconds_of(const Action &action) {
    const auto start = Clock::now();
    action();
    return seconds_since(start);
}

/// Return the floating-point operations per second of one thread that only multiplies and adds.
inline double fma_peak(const mpscnn::cpu::KernelTable &table) {
    double best = 1e9;
    for (int i = 0; i < 5000; ++i) best = std::min(best, seconds_of([&] { run_peak_loop(table); }));
    return peak_operations(table) / best;
}

} // namespace benchmark
