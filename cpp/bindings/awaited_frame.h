#pragma once

#include <pybind11/pybind11.h>

#include <atomic>
#include <exception>

#include "text.h"

namespace mpscnn::bindings {

namespace py = pybind11;

/// A frame of a runner's whose end a thread of Python's waits for: to end it takes no GIL.
class AwaitedFrame {
public:
    /// `result` is the frame's; `needed` is kept until the frame is done.
    AwaitedFrame(py::object result, py::object needed);
    AwaitedFrame(const AwaitedFrame &) = delete;
    AwaitedFrame &operator=(const AwaitedFrame &) = delete;
    ~AwaitedFrame();

    /// Once, without the GIL, which it takes only if there is a function to tell.
    void end(const std::exception_ptr &failure);

    // With the GIL held.
    bool done() const;
    /// A signal's exception interrupts it.
    void wait();
    /// Waits. The exception, or None.
    py::object exception();
    /// Of a frame that is done: gives it away.
    py::object result();
    /// Has `function` called when the frame is done; not, and false, where it is done already.
    bool tell(const py::function &function);

private:
    void let_go();

    py::object result_, needed_;
    std::exception_ptr failure_;
    /// Null; whom to tell; or this object, once the frame is done.
    std::atomic<void *> state_ = nullptr;
    PyThread_type_lock open_; ///< taken until the frame is done; a signal interrupts the wait for it
};

} // namespace mpscnn::bindings
