#pragma once

#include "cpu/isa/kernels.h"
#include "cpu/machine/thread_pool.h"

namespace mpscnn::cpu {

/// Return the peak speed of all threads of the pool together, in floating-point operations per second: FMAs
/// whose operands are in registers. It is measured once in a process for each instruction set and number of
/// threads. That takes 10 ms, or up to 200 ms if threads share a core or other processes use it.
double fma_peak(const KernelTable &table, ThreadPool &pool);

} // namespace mpscnn::cpu
