#pragma once

#include <pybind11/pybind11.h>

namespace mpscnn::bindings {

namespace py = pybind11;

/// What Python knows of a thread that is none of its own, kept from one call to the next: to make it anew
/// maps and unmaps memory, which interrupts all threads of the process.
class KeptThreadState {
public:
    /// That of the calling thread, which holds the GIL, until the thread ends. The thread must not be joined
    /// by one that holds the GIL.
    static void keep() {
        static thread_local KeptThreadState state;
        if (state.kept_) return;
        py::gil_scoped_acquire locked;
        locked.inc_ref();
        state.kept_ = true;
    }

    ~KeptThreadState() {
        if (!kept_ || is_finalizing()) return; // Python ends threads that ask for the GIL then
        py::gil_scoped_acquire locked;
        locked.dec_ref();
    }

private:
    KeptThreadState() = default;

    static bool is_finalizing() {
#if PY_VERSION_HEX >= 0x030d0000
        return !Py_IsInitialized() || Py_IsFinalizing();
#else
        return !Py_IsInitialized() || _Py_IsFinalizing();
#endif
    }

    bool kept_ = false;
};

} // namespace mpscnn::bindings
