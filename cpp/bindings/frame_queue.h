#pragma once

#include <pybind11/pybind11.h>

#include <cstddef>
#include <deque>
#include <memory>

#include "frame.h"
#include "text.h"

namespace mpscnn::bindings {

namespace py = pybind11;

/// The frames of a stream, in order, until their results are delivered. An iterator class derives from it.
/// Each function is one step in which no signal handler runs, except inside the stream's own code. So no
/// frame is lost or repeated when the iterator is interrupted. The caller must have the GIL, or the lock of
/// exclusive.h.
class FrameQueue {
public:
    FrameQueue(std::size_t max_frames, bool return_exceptions)
        : max_(max_frames), return_exceptions_(return_exceptions) {}

    /// Return the number of submitted frames whose results have not been delivered.
    std::size_t size();
    /// True if another frame should be read from the stream: at least one for each result, and more while the
    /// next result is not ready. False if `max_frames` submitted frames wait for their delivery, or after
    /// end() or fail(). `has_asked`: a frame was already read for the next result.
    bool wants_frame(bool has_asked);
    /// Return the frame that has been read but not submitted, or None.
    py::object in_hand();
    /// Read the stream's next frame; in_hand() then returns it. Exceptions of the stream propagate.
    void take_from(const py::iterator &stream);
    /// Set the frame that has been read.
    void put(py::object given);
    /// Return the first frame, or None.
    py::object first();
    /// Read no more frames.
    void end() { ended_ = true; }
    /// Raise `error` after the results of the frames so far.
    void fail(py::object error);
    /// Return the first frame's result. If the frame failed, raise its exception, or return the exception
    /// with return_exceptions. At the end, raise the error of fail() once, and then StopIteration. The frame
    /// must be done.
    py::object hand_out();

    /// Implements `__next__`. It reads frames from `self._frames`, and `self._submit(frame, given)` submits
    /// them. `self._end_by` handles an exception of the stream. The function waits for the first frame,
    /// unless `self._require_end` raises. Then it returns the frame's result, which `self._finish` makes if
    /// the frame has a function `finish`.
    static py::object next(const py::object &self);

    /// Visit the queue's objects for Python's garbage collector.
    int traverse(visitproc visit, void *arg) const;
    void clear();

private:
    /// References to frames are Python objects, so that the garbage collector sees all of them.
    struct Held {
        py::object object;
        Frame *frame = nullptr;
    };

    void update();
    void feed(const py::object &self);
    void await_first(const py::object &self);

    const std::size_t max_;
    const bool return_exceptions_;
    std::deque<Held> frames_; ///< submitted frames
    Held in_hand_;
    py::object failure_;
    bool ended_ = false, advancing_ = false;
};

} // namespace mpscnn::bindings
