#include "cpu/runtime/convolve_signals.h"

#include <algorithm>

#include "cpu/machine/floating_point.h"

namespace mpscnn::cpu {

using engine::TensorView;

namespace {

template <class T>
void convolve(void (*kernel_function)(const SignalTask<T> &), const ops::SignalConvolution &convolution,
              const TensorView &signal, const TensorView &kernel, const TensorView &result) {
    const int last = signal.shape.rank() - 1;
    const bool plane = convolution.axes == 2;
    // Kernels compute correlations, and a convolution is a correlation with reversed taps.
    std::vector<T> taps(static_cast<const T *>(kernel.data),
                        static_cast<const T *>(kernel.data) + kernel.shape.elements());
    if (!convolution.correlate) std::reverse(taps.begin(), taps.end());

    SignalTask<T> task;
    task.kernel = taps.data();
    task.kernel_width = kernel.shape.back();
    task.width = task.row_stride = signal.shape.back();
    task.clamp = convolution.boundary == ops::SignalBoundary::clamp;
    const auto horizontal = convolution.axis(task.width, task.kernel_width);
    task.left = horizontal.before;
    task.output_width = horizontal.output;
    if (plane) {
        task.kernel_height = kernel.shape[0];
        task.height = signal.shape[last - 1];
        const auto vertical = convolution.axis(task.height, task.kernel_height);
        task.top = vertical.before;
        task.output_height = vertical.output;
    }
    const std::int64_t samples = task.height * task.width, outputs = task.output_height * task.output_width;
    const std::int64_t count = signal.shape.elements() / samples;
    const DefaultFloatingPoint floating_point;
    for (std::int64_t i = 0; i < count; ++i) {
        task.source = static_cast<const T *>(signal.data) + i * samples;
        task.destination = static_cast<T *>(result.data) + i * outputs;
        kernel_function(task);
    }
}

} // namespace

void convolve_signals(const KernelTable &kernels, const ops::SignalConvolution &convolution,
                      const TensorView &signal, const TensorView &kernel, const TensorView &result) {
    if (signal.type == DType::float64)
        convolve<double>(kernels.float64, convolution, signal, kernel, result);
    else
        convolve<float>(kernels.float32, convolution, signal, kernel, result);
}

} // namespace mpscnn::cpu
