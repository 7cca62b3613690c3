// The C interface for convolution of plain signals.

#include <cstddef>
#include <cstdint>

#include "api/guard.h"
#include "api/tensors.h"
#include "engine/run/backends.h"
#include "ops/signal.h"

namespace mpscnn::c_api {

namespace {

template <class Enum> Enum chosen(int value, const char *field) {
    const auto &known = ops::EnumNames<Enum>::values;
    for (const auto &entry : known)
        if (static_cast<int>(entry.second) == value) return entry.second;
    fail(ErrorKind::parameter,
         {"mpscnn_convolve_options: ", field, " must be 0 to ", known.size() - 1, ", got ", value});
}

/// Return a view of a float32 or float64 tensor without gaps.
engine::TensorView signal_view(const mpscnn_tensor *tensor, const char *what) {
    require(tensor, what);
    const engine::TensorView view = view_of(*tensor, what);
    if (view.type != DType::float32 && view.type != DType::float64)
        fail(ErrorKind::shape, {what, ": expected float32 or float64 elements, got ", name_of(view.type)});
    if (!view.is_dense()) fail(ErrorKind::parameter, {what, ": must have no gaps between its elements"});
    if (view.shape.elements() > 0) require(view.data, what);
    return view;
}

bool overlap(const engine::TensorView &a, const engine::TensorView &b) {
    const auto begin = [](const engine::TensorView &view) {
        return reinterpret_cast<std::uintptr_t>(view.data);
    };
    const auto end = [&](const engine::TensorView &view) {
        return begin(view) + static_cast<std::uintptr_t>(view.shape.elements()) * size_of(view.type);
    };
    return begin(a) < end(b) && begin(b) < end(a);
}

/// Return the backend for a device. The CPU backend is kept, because making it takes longer than convolving a
/// short signal.
std::shared_ptr<const engine::Backend> backend_for(const std::string &device) {
    static const std::shared_ptr<const engine::Backend> cpu = engine::choose_backend("cpu", "auto").backend;
    return device == "cpu" ? cpu : engine::choose_backend(device, "float32").backend;
}

} // namespace

} // namespace mpscnn::c_api

using namespace mpscnn;

mpscnn_status mpscnn_convolve(const mpscnn_tensor *signal, const mpscnn_tensor *kernel,
                              const mpscnn_convolve_options *given, mpscnn_tensor *result) {
    return c_api::guarded([&] {
        const auto options = c_api::read_options(given, "mpscnn_convolve_options");
        ops::SignalConvolution convolution;
        convolution.axes = options.axes == 0 ? 1 : options.axes;
        convolution.mode = c_api::chosen<ops::SignalMode>(options.mode, "mode");
        convolution.boundary = c_api::chosen<ops::SignalBoundary>(options.boundary, "boundary");
        convolution.correlate = options.correlate != 0;
        const engine::TensorView x = c_api::signal_view(signal, "signal"),
                                 k = c_api::signal_view(kernel, "kernel");
        if (x.type != k.type)
            fail(ErrorKind::shape,
                 {"kernel: expected ", name_of(x.type), " elements as the signal, got ", name_of(k.type)});
        convolution.check(x.shape, k.shape);
        const Shape shape = convolution.output_shape(x.shape, k.shape);
        c_api::require(result, "result");
        if (!result->data) { // the caller only asks for the shape
            c_api::give_shape(shape, result->shape, &result->rank);
            return;
        }
        const engine::TensorView y = c_api::signal_view(result, "result");
        if (y.type != x.type || !(y.shape == shape))
            fail(ErrorKind::shape, {"result: expected ", name_of(x.type), " elements of shape ", shape.text(),
                                    ", got ", name_of(y.type), " of shape ", y.shape.text()});
        if (c_api::overlap(x, y) || c_api::overlap(k, y))
            fail(ErrorKind::parameter, "result: must not overlap the signal or the kernel");
        c_api::backend_for(options.device ? options.device : "cpu")->convolve(convolution, x, k, y);
    });
}
