#include <string_view>

#include <mpscnn/mpscnn.hpp>

#include "bind.h"
#include "errors.h"

namespace mpscnn::bindings {

namespace py = pybind11;

namespace {

/// Return the name of a class in mpscnn.errors.
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

py::object class_of(const Error &error) {
    // Import mpscnn.errors here and not with this module, because mpscnn.errors is part of the package that
    // imports this module.
    return py::module_::import("mpscnn.errors").attr(class_name(error.status()));
}

/// Return the message. It may contain a file name that is not Unicode.
py::str message_of(const std::exception &error) {
    const std::string_view text = error.what();
    const auto size = static_cast<Py_ssize_t>(text.size());
    PyObject *decoded = PyUnicode_DecodeUTF8(text.data(), size, "surrogateescape");
    if (!decoded) throw py::error_already_set();
    return py::reinterpret_steal<py::str>(decoded);
}

void translate(std::exception_ptr pointer) {
    try {
        if (pointer) std::rethrow_exception(pointer);
    } catch (const Error &error) {
        // After Ctrl-C the library ends a wait with an error. Then the handler's exception is the one to
        // raise.
        if (PyErr_CheckSignals() == 0) py::set_error(class_of(error), message_of(error));
    }
}

} // namespace

py::object exception_object(const std::exception_ptr &failure) {
    try {
        std::rethrow_exception(failure);
    } catch (const CancelledError &error) {
        return py::module_::import("concurrent.futures").attr("CancelledError")(message_of(error));
    } catch (const Error &error) {
        return class_of(error)(message_of(error));
    } catch (const py::error_already_set &error) {
        return error.value();
    } catch (const std::bad_alloc &error) {
        return py::module_::import("builtins").attr("MemoryError")(error.what());
    }
}

void bind_errors() { py::register_local_exception_translator(translate); }

} // namespace mpscnn::bindings
