#pragma once

#include <pybind11/pybind11.h>

#include <utility>

#include "gil.h"
#include "text.h"

namespace mpscnn::bindings {

namespace py = pybind11;

/// Owns a Python callable that one of the library's threads calls at most once. It is not called once the
/// interpreter shuts down.
class Callback {
public:
    /// If the callable raises, the exception goes to sys.unraisablehook, with `place` as its origin.
    Callback(py::function function, const char *place) : function_(std::move(function)), place_(place) {}
    Callback(const Callback &) = delete;
    Callback &operator=(const Callback &) = delete;
    ~Callback() {
        if (!function_) return;
        if (const ForeignGil locked; locked)
            function_ = py::function();
        else
            function_.release();
    }

    /// Call the callable. `make_arguments` returns its arguments as a tuple, and runs with the GIL.
    template <class MakeArguments> void operator()(MakeArguments make_arguments) {
        const ForeignGil locked;
        if (!locked) return;
        // Release the function while this thread has the GIL, because acquiring the GIL again may take as
        // long as Python's switch interval.
        const py::function function = std::exchange(function_, py::function());
        try {
            call_python(function, make_arguments());
        } catch (py::error_already_set &error) {
            error.discard_as_unraisable(place_);
        }
    }

private:
    py::function function_;
    const char *place_;
};

} // namespace mpscnn::bindings
