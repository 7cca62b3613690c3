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

/// One frame of a runner's, from before it is taken until its result has been given away: who holds it knows
/// how far it is, whatever interrupts him. With the GIL held, or what stands for it (exclusive.h), but for
/// `end`.
class Frame {
public:
    Frame() = default;
    Frame(const Frame &) = delete;
    Frame &operator=(const Frame &) = delete;
    ~Frame();

    /// Python objects that belong to the frame, or null. `given` is the stream's frame until it is submitted.
    /// `finish` makes the result from the core's output. `ended` is the future of a caller that waits in an
    /// event loop.
    py::object given, finish, ended;

    /// Asks for a permit; returns whether it has one. If not, `told` is called when it has one, or never
    /// will.
    bool reserve(const std::shared_ptr<Permits> &permits, py::function told);
    /// Gives up what `reserve` did.
    void give_up();

    struct Use {
        py::object needed{};                ///< kept until the frame is done
        py::object result{};                ///< null where the core finds it
        py::object failure{};               ///< null, or what is wrong with a frame that is not run
        std::optional<py::function> told{}; ///< called when it is handed out
    };
    /// The first half of its being taken: waits for a permit. A signal's exception leaves the frame as it
    /// was.
    void begin(const std::shared_ptr<Permits> &permits, Use use);
    /// The other half: the core has taken it, with a number unless it is not run; or has refused it.
    void be_taken(std::optional<std::uint64_t> number);
    void be_refused();
    bool taken() const { return taken_; }
    std::optional<std::uint64_t> number() const { return number_; }

    /// By the core, once, in a frame's turn; `convert` is called later, if at all, and makes what the core
    /// found.
    void end(const std::exception_ptr &failure, std::function<py::object()> convert);
    /// Whether it has been handed out, or has failed before it was taken.
    bool done() const { return done_.load(); }
    /// A signal's exception interrupts it.
    void wait();

    /// The exception, or None, and what was found, or None.
    struct Outcome {
        py::object failure, found;
    };

    // Only for a frame that is done.
    py::object exception();        ///< or None
    py::object found();            ///< what the core found, or the result
    double milliseconds() const;   ///< from its getting a permit until its turn
    Outcome give_away();           ///< what it then does not keep any more
    void settle(py::object value); ///< gives it its result
    void fail(py::object error);   ///< in place of a result, or of being taken

    /// For Python's garbage collector, of a frame that only Python holds.
    int traverse(visitproc visit, void *arg) const;
    void clear();

private:
    py::object needed_, found_, error_;
    std::unique_ptr<PermitRequest> request_;
    std::optional<Permit> permit_;
    std::unique_ptr<Callback> told_;
    std::optional<std::uint64_t> number_;
    bool being_taken_ = false, taken_ = false;
    std::chrono::steady_clock::time_point begun_, ended_at_;
    std::exception_ptr failure_;
    std::function<py::object()> convert_;
    std::atomic<bool> done_ = false;
    PyThread_type_lock open_ = nullptr; ///< of a frame that was taken: taken until it is done
};

} // namespace mpscnn::bindings
