#pragma once

#include <pybind11/pybind11.h>

#include <cstddef>
#include <deque>
#include <memory>

#include "frame.h"
#include "text.h"

namespace mpscnn::bindings {

namespace py = pybind11;

/// The frames of a stream in their order, from the stream until their results have been given away, for an
/// iterator that is derived from it. Each of its functions is one step: no handler of a signal runs in it but
/// in the stream's own code, so that whatever interrupts the iterator, no frame is lost or repeated. With the
/// GIL held, or what stands for it (exclusive.h).
class FrameQueue {
public:
    FrameQueue(std::size_t most, bool return_exceptions)
        : max_(most), return_exceptions_(return_exceptions) {}

    /// Frames that were taken and whose results have not been given away.
    std::size_t size();
    /// Whether one more frame is wanted: at least one for each result; more while the next result is not
    /// there yet.
    bool wants_frame(bool has_asked);
    /// The one of the stream that is not taken yet; None if there is none.
    py::object in_hand();
    /// Asks the stream for its next frame, which it has in hand then; what the stream raises passes.
    void take_from(const py::iterator &stream);
    /// Has in hand what a stream has given.
    void put(py::object given);
    /// The first frame; None if there is none.
    py::object first();
    /// No more frames are wanted.
    void end() { ended_ = true; }
    /// Has `error` raised after the results of the frames so far.
    void fail(py::object error);
    /// Gives the first frame's result away, or raises its exception; stops at the end. The frame is done.
    py::object hand_out();

    /// `__next__`: takes frames from `self._frames`, has `self._submit(frame, given)` submit them and
    /// `self._end_by` treat what the stream raised, waits for the first one, once `self._require_end` allows
    /// that, makes its result by `self._finish` and hands that out.
    static py::object next(const py::object &self);

    /// For Python's garbage collector.
    int traverse(visitproc visit, void *arg) const;
    void clear();

private:
    /// Frames are held as objects of Python's, so that its garbage collector sees all who hold one.
    struct Held {
        py::object object;
        Frame *frame = nullptr;
    };

    void update();
    void feed(const py::object &self);
    void await_first(const py::object &self);

    const std::size_t max_;
    const bool return_exceptions_;
    std::deque<Held> frames_; ///< taken ones
    Held in_hand_;
    py::object failure_;
    bool ended_ = false, advancing_ = false;
};

} // namespace mpscnn::bindings
