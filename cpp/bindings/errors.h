#pragma once

#include <pybind11/pybind11.h>

#include <exception>

#include "text.h"

namespace mpscnn::bindings {

/// The Python exception for what the library, or Python, threw; concurrent.futures.CancelledError for a frame
/// that was cancelled. With the GIL held.
pybind11::object exception_object(const std::exception_ptr &failure);

} // namespace mpscnn::bindings
