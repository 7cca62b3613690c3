#include <algorithm>

#include "arrays.h"
#include "bind.h"
#include "gil.h"

namespace mpscnn::bindings {

namespace {

py::array convolve(const py::array &signal, const py::array &kernel, int axes, int mode, int boundary,
                   bool correlate, const std::string &device) {
    const ConvolveOptions options{.axes = axes,
                                  .mode = static_cast<ConvolveMode>(mode),
                                  .boundary = static_cast<ConvolveBoundary>(boundary),
                                  .correlate = correlate,
                                  .device = device};
    const mpscnn_tensor x = signal_tensor(signal, "signal"), k = signal_tensor(kernel, "kernel");
    py::array result(signal.dtype(), convolved_shape(x, k, options));
    const mpscnn_tensor y = signal_tensor(result, "result");
    const GilReleased unlocked;
    mpscnn::convolve(x, k, y, options);
    return result;
}

} // namespace

void bind_signal(py::module_ &module) {
    module.def("convolve", &convolve, py::arg("signal"), py::arg("kernel"), py::arg("axes"), py::arg("mode"),
               py::arg("boundary"), py::arg("correlate"), py::arg("device"),
               "Convolution over the last one or two axes.");
}

} // namespace mpscnn::bindings
