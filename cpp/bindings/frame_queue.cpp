#include "frame_queue.h"

#include <mpscnn/mpscnn.hpp>

#include <utility>

#include "gil.h"

namespace mpscnn::bindings {

namespace {

[[noreturn]] void raise_object(const py::object &error) {
    PyErr_SetObject(py::type::of(error).ptr(), error.ptr());
    throw py::error_already_set();
}

} // namespace

void FrameQueue::update() {
    if (in_hand_.object && in_hand_.frame->taken()) frames_.push_back(std::exchange(in_hand_, {}));
}

std::size_t FrameQueue::size() {
    update();
    return frames_.size();
}

bool FrameQueue::wants_frame(bool has_asked) {
    update();
    if (ended_ || failure_ || frames_.size() >= max_) return false;
    return !(has_asked && !frames_.empty() && frames_.front().frame->done());
}

py::object FrameQueue::in_hand() {
    update();
    return in_hand_.object ? in_hand_.object : py::none();
}

void FrameQueue::take_from(const py::iterator &stream) {
    py::object given = next_of(stream);
    if (given)
        put(std::move(given));
    else
        ended_ = true;
}

void FrameQueue::put(py::object given) {
    update();
    const auto frame = std::make_shared<Frame>();
    frame->given = std::move(given);
    in_hand_ = {py::cast(frame), frame.get()};
}

py::object FrameQueue::first() {
    update();
    return frames_.empty() ? py::none() : frames_.front().object;
}

void FrameQueue::fail(py::object error) { failure_ = std::move(error); }

py::object FrameQueue::hand_out() {
    update();
    if (frames_.empty()) {
        if (failure_) raise_object(std::exchange(failure_, py::object()));
        throw py::stop_iteration();
    }
    const auto [object, frame] = frames_.front();
    if (!frame->done()) throw StateError("the first frame is not done");
    const Frame::Outcome outcome = frame->give_away();
    frames_.pop_front();
    if (outcome.failure.is_none()) return outcome.found;
    if (return_exceptions_) return outcome.failure;
    raise_object(outcome.failure);
}

int FrameQueue::traverse(visitproc visit, void *arg) const {
    for (const Held &held : frames_) Py_VISIT(held.object.ptr());
    Py_VISIT(in_hand_.object.ptr());
    Py_VISIT(failure_.ptr());
    return 0;
}

void FrameQueue::clear() {
    frames_.clear();
    in_hand_ = {};
    failure_ = py::object();
}

void FrameQueue::feed(const py::object &self) {
    for (bool has_asked = false; wants_frame(has_asked); has_asked = true) {
        if (!in_hand_.object) {
            try {
                take_from(self.attr("_frames"));
            } catch (py::error_already_set &error) {
                if (!error.matches(PyExc_Exception)) throw;
                call_python(self.attr("_end_by"), py::make_tuple(error.value()));
            }
        }
        if (in_hand_.object)
            call_python(self.attr("_submit"), py::make_tuple(in_hand_.object, in_hand_.frame->given));
    }
}

void FrameQueue::await_first(const py::object &self) {
    if (frames_.empty()) return;
    const auto [object, frame] = frames_.front();
    if (!frame->done()) {
        call_python(self.attr("_require_end"));
        frame->wait();
    }
    if (frame->finish) call_python(self.attr("_finish"), py::make_tuple(object));
}

py::object FrameQueue::next(const py::object &self) {
    auto &queue = self.cast<FrameQueue &>();
    if (queue.advancing_)
        throw StateError("another thread, or a signal's handler, takes a result of this iterator already");
    queue.advancing_ = true;
    try {
        queue.feed(self);
        queue.await_first(self);
    } catch (...) {
        queue.advancing_ = false;
        throw;
    }
    queue.advancing_ = false;
    return queue.hand_out();
}

} // namespace mpscnn::bindings
