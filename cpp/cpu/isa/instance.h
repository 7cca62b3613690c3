#pragma once

// Every kernel file includes this header. Each cpu/kernels/*/<family>.cpp is compiled once for each
// instruction set, with the compiler flags of that set. Then MPSCNN_SET is the set's name, and
// MPSCNN_SIMD_HEADER is the header of its vector class (see simd.h).

#include MPSCNN_SIMD_HEADER

#include "cpu/isa/kernels.h"

namespace mpscnn::cpu::MPSCNN_SET {

#include "cpu/isa/instance_functions.h"

} // namespace mpscnn::cpu::MPSCNN_SET

/// Define this instruction set's kernel for a kind of task: <prefix>_prepare and <prefix>_run.
#define MPSCNN_KERNEL(TaskType, prefix)                                                                      \
    void mpscnn::cpu::MPSCNN_SET::get(Kernel<TaskType> &kernel) {                                            \
        kernel = {prefix##_prepare<Simd>, prefix##_run<Simd>};                                               \
    }
