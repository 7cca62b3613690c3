#pragma once

#include <pybind11/pybind11.h>

#include <memory>
#include <utility>

namespace mpscnn::bindings {

namespace py = pybind11;

/// Owns a Python callable, to be called at most once, for threads that do not hold the GIL.
class Callback {
public:
    /// What the callable raises goes to sys.unraisablehook, as from `place`.
    Callback(py::function function, const char *place)
        : function_(new py::function(std::move(function))), place_(place) {}
    Callback(const Callback &) = delete;
    Callback &operator=(const Callback &) = delete;
    ~Callback() {
        if (!function_) return;
        const py::gil_scoped_acquire locked;
        delete function_;
    }

    /// `make_arguments`, which gives a tuple, is called with the GIL held.
    template <class MakeArguments> void operator()(MakeArguments make_arguments) {
        const py::gil_scoped_acquire locked;
        // It goes while the GIL is held: to get it once more may take as long as Python's switch interval.
        const std::unique_ptr<py::function> function(std::exchange(function_, nullptr));
        try {
            (*function)(*make_arguments());
        } catch (py::error_already_set &error) {
            error.discard_as_unraisable(place_);
        }
    }

private:
    py::function *function_;
    const char *place_;
};

} // namespace mpscnn::bindings
