#pragma once

#include <pybind11/pybind11.h>

#include <utility>

#include "gil.h"
#include "text.h"

namespace mpscnn::bindings {

namespace py = pybind11;

/// Owns a Python callable, to be called at most once, for threads of the library's. Once the interpreter ends
/// it is not called any more.
class Callback {
public:
    /// An exception of the callable goes to sys.unraisablehook, with `place` as its origin.
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

    /// `make_arguments`, which gives a tuple, is called with the GIL held.
    template <class MakeArguments> void operator()(MakeArguments make_arguments) {
        const ForeignGil locked;
        if (!locked) return;
        // It goes while the GIL is held: to get it once more may take as long as Python's switch interval.
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
