#pragma once

#include "cpu/isa/kernels.h"
#include "cpu/runtime/thread_pool.h"

namespace mpscnn::cpu {

/// Floating-point operations per second that all threads of the pool reach together by FMAs alone.
/// Measured once in a process for each instruction set and number of threads, which takes 10 ms, or 200 where
/// threads share a core or others use it.
double fma_peak(const KernelTable &table, ThreadPool &pool);

} // namespace mpscnn::cpu
