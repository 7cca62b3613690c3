#pragma once

// The FMA peak that kernels are compared with, and a task that is ready to run.

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "cpu/isa/kernels.h"
#include "cpu/plan/caches.h"
#include "cpu/plan/plan_memory.h"

namespace benchmark {

/// A convolution's task and the kernel's decisions for it. The task must outlive it.
class ReadyConvolution {
public:
    ReadyConvolution(const mpscnn::cpu::KernelTable &table, const mpscnn::cpu::ConvolutionTask &task,
                     int threads)
        : kernel_(table.kernel(task)), task_(task),
          prepared_(mpscnn::cpu::prepare(kernel_, task, {threads, mpscnn::cpu::machine_caches(), &memory_})) {
    }
    std::int64_t items() const { return prepared_.items; }
    std::size_t scratch_bytes() const { return prepared_.scratch_bytes; }
    void run(std::int64_t begin, std::int64_t end, std::byte *scratch) const {
        mpscnn::cpu::Worker worker{.scratch = scratch};
        kernel_.run(task_, prepared_, begin, end, worker);
    }

private:
    mpscnn::cpu::PlanMemory memory_;
    mpscnn::cpu::Kernel<mpscnn::cpu::ConvolutionTask> kernel_;
    const mpscnn::cpu::ConvolutionTask &task_;
    mpscnn::cpu::Prepared prepared_;
};

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
