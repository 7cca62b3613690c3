#include <mpscnn/mpscnn.hpp>

#include "bind.h"

namespace mpscnn::bindings {

namespace py = pybind11;

namespace {

/// Names in mpscnn.errors.
const char *class_name(mpscnn_status status) {
    switch (status) {
    case MPSCNN_ERROR_SHAPE:
        return "ShapeError";
    case MPSCNN_ERROR_PARAMETER:
        return "ParameterError";
    case MPSCNN_ERROR_WEIGHTS:
        return "WeightsError";
    case MPSCNN_ERROR_DEVICE:
        return "DeviceError";
    case MPSCNN_ERROR_UNSUPPORTED:
        return "UnsupportedError";
    case MPSCNN_ERROR_STATE:
        return "StateError";
    default:
        return "Error";
    }
}

void translate(std::exception_ptr pointer) {
    try {
        if (pointer) std::rethrow_exception(pointer);
    } catch (const Error &error) {
        // Imported here and not with this module: mpscnn.errors belongs to the package that imports us.
        const py::object type = py::module_::import("mpscnn.errors").attr(class_name(error.status()));
        py::set_error(type, error.what());
    }
}

} // namespace

void bind_errors() { py::register_local_exception_translator(translate); }

} // namespace mpscnn::bindings
