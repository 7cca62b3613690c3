#pragma once

#include <pybind11/critical_section.h>
#include <pybind11/pybind11.h>

namespace mpscnn::bindings {

namespace py = pybind11;

/// Protects objects that threads share in a Python without the GIL. Only one thread at a time is in the
/// functions that have this class as their call guard. Other threads may enter wherever the GIL would be
/// released, for example by GilReleased. In a Python with a GIL, this class does nothing. Functions that run
/// networks must not use it.
class Exclusive {
public:
    Exclusive() : section_(shared()) {}

    /// Set the object whose lock all calls share: the module. This is called once, when the module is
    /// imported.
    static void share(const py::module_ &module);

private:
    /// All objects share one lock, because they refer to each other.
    static py::handle shared();

    py::scoped_critical_section section_;
};

/// Make a property function exclusive, because pybind11 ignores call guards of properties.
template <class Function> py::cpp_function exclusively(Function function) {
    return py::cpp_function(function, py::call_guard<Exclusive>());
}

} // namespace mpscnn::bindings
