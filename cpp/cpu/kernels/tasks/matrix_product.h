#pragma once

#include "cpu/kernels/tasks/task.h"

namespace mpscnn::cpu {

/// destination = scale * source * second, a product of matrices. Each row of pixels is a matrix
/// [pixels][channels], and either factor may be transposed.
struct MatrixProductTask {
    ConstView source, second;
    View destination;
    bool transpose_source = false, transpose_second = false;
    float scale = 1.0f;
    Epilogue epilogue{}; ///< without residual

    const char *kernel_name() const { return "matrix product"; }
};

} // namespace mpscnn::cpu
