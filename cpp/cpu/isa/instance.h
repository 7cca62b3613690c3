#pragma once

// Include this in every kernel file. Each cpu/kernels/<family>.cpp is compiled once for each instruction set
// with the flags of that set. MPSCNN_SET is then the set's name, and MPSCNN_SIMD_HEADER is the header of its
// vectors (see simd.h).

#include MPSCNN_SIMD_HEADER

#include "cpu/isa/kernels.h"

namespace mpscnn::cpu::MPSCNN_SET {

#include "cpu/isa/instance_functions.h"

} // namespace mpscnn::cpu::MPSCNN_SET

/// Register <prefix>_prepare and <prefix>_run as this set's kernel for a kind of task.
#define MPSCNN_KERNEL(TaskType, prefix)                                                                      \
    void mpscnn::cpu::MPSCNN_SET::get(Kernel<TaskType> &kernel) {                                            \
        kernel = {prefix##_prepare<Simd>, prefix##_run<Simd>};                                               \
    }
