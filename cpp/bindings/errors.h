#pragma once

#include <pybind11/pybind11.h>

#include <exception>

#include "text.h"

namespace mpscnn::bindings {

/// Return the Python exception for an exception of the library or of Python. It is
/// concurrent.futures.CancelledError for a cancelled frame. The caller must have the GIL.
pybind11::object exception_object(const std::exception_ptr &failure);

} // namespace mpscnn::bindings
