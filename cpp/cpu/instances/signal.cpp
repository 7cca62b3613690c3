#include "cpu/signal.h"
#include "cpu/instance.h"
#include "cpu/simd_double.h"

void mpscnn::cpu::MPSCNN_SET::get(SignalKernels &kernels) {
    kernels = {signal_run<Simd, float>, signal_run<DoubleSimd, double>};
}
