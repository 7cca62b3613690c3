#pragma once

#include <pybind11/pybind11.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>

#include "callback.h"
#include "permits.h"
#include "text.h"

namespace mpscnn::bindings {

namespace py = pybind11;

/// One frame of a runner, from before it is submitted until its result is delivered. Its state is always
/// consistent, even after a signal handler has raised. All functions except `end` need the GIL, or the lock
/// of exclusive.h.
class Frame {
public:
    Frame() = default;
    Frame(const Frame &) = delete;
    Frame &operator=(const Frame &) = delete;
    ~Frame();

    /// Python objects of the frame, or null. `given` is the stream's item until it is submitted. `finish`
    /// makes the result from the core's output. `ended` is the future of a caller that waits in an event
    /// loop.
    py::object given, finish, ended;

    /// Request a permit; return true if there is one. Otherwise `on_permit` is called when there is one, or
    /// when there never will be.
    bool reserve(const std::shared_ptr<Permits> &permits, py::function on_permit);
    /// Withdraw the request of `reserve`.
    void give_up();

    struct Use {
        py::object needed{};                  ///< kept until the frame is done
        py::object result{};                  ///< null if the core supplies it
        py::object failure{};                 ///< null, or the error of a frame that is not run
        std::optional<py::function> on_end{}; ///< called when the frame is delivered
    };
    /// First half of the submission: wait for a permit. If a signal handler raises, the frame is unchanged.
    void begin(const std::shared_ptr<Permits> &permits, Use use);
    /// Second half of the submission: record that the core has accepted the frame, or has refused it.
    /// `number` is empty for a frame that is not run.
    void be_taken(std::optional<std::uint64_t> number);
    void be_refused();
    bool taken() const { return taken_; }
    std::optional<std::uint64_t> number() const { return number_; }

    /// End the frame. The core calls this once, in the order of submission. `convert` makes a Python object
    /// from the core's result; it is called later, or never.
    void end(const std::exception_ptr &failure, std::function<py::object()> convert);
    /// Return true once `end` or `fail` was called: the core has ended the frame, with a result or an error,
    /// or the frame has failed before its submission.
    bool done() const { return done_.load(); }
    /// Wait until the frame is done. A signal handler's exception interrupts this.
    void wait();

    /// How a frame ended: its exception or None, and the result that the library's core made or None.
    struct Outcome {
        py::object failure, found;
    };

    // The following functions are for frames that are done. `fail` is also for a frame that was not
    // submitted.
    py::object exception();        ///< the error, or None
    py::object found();            ///< the core's result, the final result if it is set, or None
    double milliseconds() const;   ///< time from the frame's permit to its delivery
    Outcome give_away();           ///< return the outcome, which the frame then no longer keeps
    void settle(py::object value); ///< set the final result
    void fail(py::object error);   ///< set an error in place of the result or the submission

    /// Visit or clear the frame's objects for Python's garbage collector. Only allowed if nothing but Python
    /// refers to the frame.
    int traverse(visitproc visit, void *arg) const;
    void clear();

private:
    py::object needed_, found_, error_;
    std::unique_ptr<PermitRequest> request_;
    std::optional<Permit> permit_;
    std::unique_ptr<Callback> on_end_;
    std::optional<std::uint64_t> number_;
    bool being_taken_ = false, taken_ = false;
    std::chrono::steady_clock::time_point begun_, ended_at_;
    std::exception_ptr failure_;
    std::function<py::object()> convert_;
    std::atomic<bool> done_ = false;
    PyThread_type_lock open_ = nullptr; ///< locked from the submission until the frame is done
};

} // namespace mpscnn::bindings
