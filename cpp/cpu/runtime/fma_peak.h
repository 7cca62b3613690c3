#pragma once

#include "cpu/isa/kernels.h"
#include "cpu/runtime/thread_pool.h"

namespace mpscnn::cpu {

/// Return the floating-point operations per second of all threads of the pool together, with FMAs on
/// registers only. It is measured once in a process for each instruction set and number of threads. That
/// takes 10 ms, or 200 ms if threads share a core or other processes use it.
double fma_peak(const KernelTable &table, ThreadPool &pool);

} // namespace mpscnn::cpu
