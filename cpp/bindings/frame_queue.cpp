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
    if (in_hand_ && in_hand_->taken()) frames_.push_back(std::move(in_hand_));
}

std::size_t FrameQueue::size() {
    update();
    return frames_.size();
}

bool FrameQueue::wants_frame(bool has_asked) {
    update();
    if (ended_ || failure_ || frames_.size() >= most_) return false;
    return !(has_asked && !frames_.empty() && frames_.front()->done());
}

std::shared_ptr<Frame> FrameQueue::in_hand() {
    update();
    return in_hand_;
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
    in_hand_ = std::make_shared<Frame>();
    in_hand_->given = std::move(given);
}

std::shared_ptr<Frame> FrameQueue::first() {
    update();
    return frames_.empty() ? nullptr : frames_.front();
}

void FrameQueue::fail(py::object error) { failure_ = std::move(error); }

py::object FrameQueue::hand_out() {
    update();
    if (frames_.empty()) {
        if (failure_) raise_object(std::exchange(failure_, py::object()));
        throw py::stop_iteration();
    }
    const std::shared_ptr<Frame> frame = frames_.front();
    if (!frame->done()) throw StateError("the first frame is not done");
    const bool failed = !frame->exception().is_none();
    py::object outcome = frame->give_away();
    frames_.pop_front();
    if (failed && !return_exceptions_) raise_object(outcome);
    return outcome;
}

void FrameQueue::feed(const py::object &self) {
    for (bool has_asked = false; wants_frame(has_asked); has_asked = true) {
        if (!in_hand_) {
            try {
                take_from(self.attr("_frames"));
            } catch (py::error_already_set &error) {
                if (!error.matches(PyExc_Exception)) throw;
                call_python(self.attr("_end_by"), py::make_tuple(error.value()));
            }
        }
        if (in_hand_) call_python(self.attr("_submit"), py::make_tuple(in_hand_, in_hand_->given));
    }
}

void FrameQueue::await_first(const py::object &self) {
    if (frames_.empty()) return;
    const std::shared_ptr<Frame> frame = frames_.front();
    if (!frame->done()) {
        call_python(self.attr("_require_end"));
        frame->wait();
    }
    if (frame->finish) call_python(self.attr("_finish"), py::make_tuple(frame));
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
