#pragma once

#include <pybind11/pybind11.h>

#include <exception>
#include <optional>

#include "text.h"

namespace mpscnn::bindings {

namespace py = pybind11;

// While the interpreter shuts down, a thread that asks for the GIL does not get it. Up to Python 3.13,
// pthread_exit then ends the thread and unwinds its stack like an exception. That runs destructors that may
// not throw, which ends the process, and destructors of Python objects without the GIL. From Python 3.14 on,
// the thread blocks forever. This header makes it block in every version of Python.

/// If Python ends a thread inside this scope, its stack is not unwound further; ordinary exceptions pass. The
/// function must not be noexcept, nor be inlined into one that is, because compilers omit destructors on the
/// way to std::terminate.
class NoUnwinding {
public:
    NoUnwinding() : exceptions_(std::uncaught_exceptions()) {}
    NoUnwinding(const NoUnwinding &) = delete;
    NoUnwinding &operator=(const NoUnwinding &) = delete;
    ~NoUnwinding();

    /// Call at the end of the scope, if the thread continues.
    void passed() { passed_ = true; }

private:
    const int exceptions_; ///< an unwinding that is not an exception is the end of the thread
    bool passed_ = false;
};

/// Releases the GIL, so that other Python threads can run. It may be used as a pybind11 call guard.
class GilReleased {
public:
    GilReleased() : state_(PyEval_SaveThread()) {}
    GilReleased(const GilReleased &) = delete;
    GilReleased &operator=(const GilReleased &) = delete;
    ~GilReleased();

private:
    PyThreadState *state_;
};

/// Return a new Python lock that is locked. Unlike a C++ lock, a wait for it can be interrupted by signals.
PyThread_type_lock taken_lock();

/// Lock a Python lock. The GIL is released while waiting. A signal handler's exception interrupts the wait.
void acquire_interruptibly(PyThread_type_lock lock);

/// A pybind11 holder's deleter for objects whose destructor waits; it runs without the GIL.
struct DeleteUnlocked {
    template <class Waiting> void operator()(Waiting *waiting) const {
        const GilReleased unlocked;
        delete waiting;
    }
};

/// Call a function that may be Python code, in which Python may end the thread.
py::object call_python(const py::object &function, const py::tuple &arguments = py::tuple());

/// Return the next item of an iterator, which may also be Python code; null at its end.
py::object next_of(const py::iterator &iterator);

/// Return the number of forks between the import of the module and this process.
unsigned forks();

/// The GIL for a library thread. At the end of the process Python waits until no such thread has it, and then
/// admits none. These threads are joined, so they must not block forever.
class ForeignGil {
public:
    ForeignGil();
    ForeignGil(const ForeignGil &) = delete;
    ForeignGil &operator=(const ForeignGil &) = delete;
    ~ForeignGil();

    /// True if this object has the GIL. If it does not, no Python object may be accessed or released any
    /// more.
    explicit operator bool() const { return locked_.has_value(); }

    /// Keep Python's state of this thread until the thread ends. Making the state again would map and unmap
    /// memory, which interrupts all threads of the process. The caller must have the GIL. A thread that holds
    /// the GIL must not join this thread.
    static void keep_thread_state();

    /// True once the shutdown has begun: no library thread gets the GIL any more.
    static bool is_closed();

    /// Register a function that runs at the end of the process: it waits until no library thread has the GIL,
    /// and admits none afterwards. Also begin to count forks. This is called once, when the module is
    /// imported.
    static void close_at_exit();

private:
    std::optional<py::gil_scoped_acquire> locked_;
};

} // namespace mpscnn::bindings
