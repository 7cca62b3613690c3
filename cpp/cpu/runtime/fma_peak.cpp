#include "cpu/runtime/fma_peak.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <limits>
#include <vector>

namespace mpscnn::cpu {

namespace {

/// The duration of a work item. It is so long that the start of the other threads, some microseconds, does
/// not matter, and so short that most items are not interrupted.
constexpr double item_seconds = 200e-6;
constexpr double min_seconds = 0.01;
/// The time limit of the measurement if all threads together are slower than the sum of their single speeds.
/// Other processes may have interrupted the threads, so the measurement is repeated until this limit.
constexpr double max_seconds = 0.2;

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) {
    return std::chrono::duration<double>(Clock::now() - begin).count();
}

/// Return the minimum time of ten runs of `rounds` rounds.
double seconds_of(const KernelTable &table, std::int64_t rounds) {
    double best = std::numeric_limits<double>::max();
    for (int i = 0; i < 10; ++i) {
        const auto begin = Clock::now();
        table.fma_loop(rounds);
        best = std::min(best, seconds_since(begin));
    }
    return best;
}

double measure(const KernelTable &table, ThreadPool &pool) {
    constexpr std::int64_t few = 1000;
    const auto rounds = std::max<std::int64_t>(
        few, static_cast<std::int64_t>(few * item_seconds / std::max(seconds_of(table, few), 1e-9)));
    const double alone = seconds_of(table, rounds);
    double best = std::numeric_limits<double>::max();
    const auto start = Clock::now();
    for (double spent = 0; spent < (best < 1.05 * alone ? min_seconds : max_seconds);
         spent = seconds_since(start)) {
        const auto begin = Clock::now();
        pool.run(pool.threads(), [&](int, std::int64_t first, std::int64_t last) {
            for (std::int64_t item = first; item < last; ++item) table.fma_loop(rounds);
        });
        best = std::min(best, seconds_since(begin));
    }
    const double operations = static_cast<double>(table.round_operations) * static_cast<double>(rounds);
    return operations * pool.threads() / best;
}

/// The measured peaks by kernel table and number of threads; 0 if not measured yet. There is no lock, because
/// a fork might leave it locked in the child. If several threads ask at the same time, each measures.
using PeaksOfThreads = std::array<std::atomic<double>, ThreadPool::max_threads + 1>;
std::array<PeaksOfThreads, max_kernel_tables> peaks;

} // namespace

double fma_peak(const KernelTable &table, ThreadPool &pool) {
    const auto tables = available_kernels();
    const auto index = std::find(tables.begin(), tables.end(), &table) - tables.begin();
    std::atomic<double> &peak =
        peaks[static_cast<std::size_t>(index)][static_cast<std::size_t>(pool.threads())];
    double known = peak.load(std::memory_order_relaxed);
    if (known == 0) peak.store(known = measure(table, pool), std::memory_order_relaxed);
    return known;
}

} // namespace mpscnn::cpu
