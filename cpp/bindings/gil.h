#pragma once

#include <pybind11/pybind11.h>

#include <exception>
#include <optional>

#include "text.h"

namespace mpscnn::bindings {

namespace py = pybind11;

// While the interpreter ends, a thread that asks for the GIL does not get it. Up to Python 3.13 pthread_exit
// ends the thread, which unwinds its stack as an exception would: through destructors that may not throw,
// which ends the process, and through those of Python objects, without the GIL. From Python 3.14 on the
// thread stays where it is for ever. Here it does so with every Python.

/// Keeps a thread that Python ends inside of this scope from being unwound any further; exceptions pass. For
/// a function that is not noexcept and not inlined into one: compilers leave out what happens on the way to
/// std::terminate.
class NoUnwinding {
public:
    NoUnwinding() : exceptions_(std::uncaught_exceptions()) {}
    NoUnwinding(const NoUnwinding &) = delete;
    NoUnwinding &operator=(const NoUnwinding &) = delete;
    ~NoUnwinding();

    /// At the end of the scope: the thread goes on.
    void passed() { passed_ = true; }

private:
    const int exceptions_; ///< what is not an exception is the end of the thread
    bool passed_ = false;
};

/// Other threads of Python run meanwhile. May be a pybind11 call guard.
class GilReleased {
public:
    GilReleased() : state_(PyEval_SaveThread()) {}
    GilReleased(const GilReleased &) = delete;
    GilReleased &operator=(const GilReleased &) = delete;
    ~GilReleased();

private:
    PyThreadState *state_;
};

/// A new lock of Python's, which is taken: unlike those of C++, a wait for it is interrupted by signals.
PyThread_type_lock taken_lock();

/// Takes the lock, without the GIL meanwhile. A signal's exception interrupts it.
void acquire_interruptibly(PyThread_type_lock lock);

/// A pybind11 holder's deleter for what waits when it is destroyed.
struct DeleteUnlocked {
    template <class Waiting> void operator()(Waiting *waiting) const {
        const GilReleased unlocked;
        delete waiting;
    }
};

/// Calls a function that may be Python's own, in which Python may end the thread.
py::object call_python(const py::object &function, const py::tuple &arguments = py::tuple());

/// The next of an iterator, which may be Python's own as well; null at its end.
py::object next_of(const py::iterator &iterator);

/// How often this process was forked off another since the module was imported.
unsigned forks();

/// The GIL for a thread of the library's. At the end of the process Python waits until none has it and then
/// lets none in: such a thread is waited for, so it may not stay where it is for ever.
class ForeignGil {
public:
    ForeignGil();
    ForeignGil(const ForeignGil &) = delete;
    ForeignGil &operator=(const ForeignGil &) = delete;
    ~ForeignGil();

    /// Whether it has the GIL. If not, no object of Python's may be touched any more, nor be released.
    explicit operator bool() const { return locked_.has_value(); }

    /// Leaves what Python knows of this thread until the thread ends: to make it again maps and unmaps
    /// memory, which interrupts all threads of the process. With the GIL. The thread must not be joined by
    /// one that has it.
    static void keep_thread_state();

    /// Whether the end has come: no thread of the library's is let in any more.
    static bool is_closed();

    /// Once, when the module is imported. Also begins to count forks.
    static void close_at_exit();

private:
    std::optional<py::gil_scoped_acquire> locked_;
};

} // namespace mpscnn::bindings
