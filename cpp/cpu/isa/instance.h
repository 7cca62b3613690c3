#pragma once

// What a kernel file needs: cpu/kernels/<family>.cpp is compiled once for each instruction set, with its
// flags and with MPSCNN_SET set to its name and MPSCNN_SIMD_HEADER to the header of its vectors (see simd.h).

#include MPSCNN_SIMD_HEADER

#include "cpu/isa/kernels.h"

namespace mpscnn::cpu::MPSCNN_SET {

#include "cpu/isa/instance_functions.h"

} // namespace mpscnn::cpu::MPSCNN_SET

/// Makes <prefix>_prepare and <prefix>_run the set's kernel for a kind of task.
#define MPSCNN_KERNEL(TaskType, prefix)                                                                      \
    void mpscnn::cpu::MPSCNN_SET::get(Kernel<TaskType> &kernel) {                                            \
        kernel = {prefix##_prepare<Simd>, prefix##_run<Simd>};                                               \
    }
