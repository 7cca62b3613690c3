#include "frame.h"

#include <mpscnn/mpscnn.hpp>

#include <array>
#include <utility>

#include "errors.h"
#include "exclusive.h"
#include "gil.h"

namespace mpscnn::bindings {

Frame::~Frame() {
    if (open_ != nullptr) PyThread_free_lock(open_);
    const std::array<py::object *, 6> objects{&given, &finish, &ended, &needed_, &found_, &error_};
    bool holds_any = static_cast<bool>(convert_);
    for (const py::object *object : objects) holds_any = holds_any || *object;
    if (!holds_any) return;
    const ForeignGil locked; // the runner's thread held the last reference, so the result is not needed
    for (py::object *object : objects) {
        if (!locked) object->release();
        *object = py::object();
    }
    convert_ = nullptr;
}

bool Frame::reserve(const std::shared_ptr<Permits> &permits, py::function on_permit) {
    if (!request_)
        request_ = std::make_unique<PermitRequest>(
            permits, std::make_unique<Callback>(std::move(on_permit), "a permit of mpscnn.Runner"));
    return !request_->waits();
}

void Frame::give_up() { request_.reset(); }

void Frame::begin(const std::shared_ptr<Permits> &permits, Use use) {
    if (taken_ || being_taken_ || done()) throw StateError("the frame was submitted already");
    being_taken_ = true;
    try {
        if (!request_) {
            if (std::optional<Permit> free = Permits::take_free(permits)) permit_.emplace(std::move(*free));
        }
        if (!permit_) {
            if (!request_) request_ = std::make_unique<PermitRequest>(permits);
            permit_.emplace(request_->take());
            request_.reset();
        }
        if (use.on_end)
            on_end_ =
                std::make_unique<Callback>(std::move(*use.on_end), "the end of a frame of mpscnn.Runner");
        if (open_ == nullptr) open_ = taken_lock();
    } catch (...) {
        be_refused();
        throw;
    }
    needed_ = std::move(use.needed);
    found_ = std::move(use.result);
    error_ = std::move(use.failure);
    begun_ = std::chrono::steady_clock::now();
}

void Frame::be_taken(std::optional<std::uint64_t> number) {
    number_ = number;
    being_taken_ = false;
    taken_ = true;
    given = py::object();
}

void Frame::be_refused() {
    request_.reset();
    permit_.reset();
    on_end_.reset();
    needed_ = found_ = error_ = py::object();
    being_taken_ = false;
}

void Frame::end(const std::exception_ptr &failure, std::function<py::object()> convert) {
    failure_ = failure;
    convert_ = std::move(convert);
    ended_at_ = std::chrono::steady_clock::now();
    std::optional<Permit> permit = std::move(permit_);
    permit->give_back();
    // A waiting thread may release the frame, and so destroy this object, once it is done.
    const std::unique_ptr<Callback> on_end = std::move(on_end_);
    if (on_end) permit->permits().note_delivery();
    done_ = true;
    PyThread_release_lock(open_);
    if (!on_end) return;
    (*on_end)([this] {
        // This is the runner's only thread that needs a thread state, and it ends without the GIL.
        ForeignGil::keep_thread_state();
        const Exclusive exclusive;
        needed_ = py::object();
        return py::tuple();
    });
}

void Frame::wait() {
    if (!done()) {
        if (open_ == nullptr) throw StateError("the frame was not submitted");
        acquire_interruptibly(open_);
        PyThread_release_lock(open_); // for other waiting threads
    }
    needed_ = py::object();
}

py::object Frame::exception() {
    if (!error_ && failure_) error_ = exception_object(std::exchange(failure_, nullptr));
    return error_ ? error_ : py::none();
}

py::object Frame::found() {
    if (!found_ && convert_) found_ = std::exchange(convert_, nullptr)();
    return found_ ? found_ : py::none();
}

Frame::Outcome Frame::give_away() {
    Outcome outcome{exception(), py::none()};
    if (outcome.failure.is_none()) outcome.found = found();
    // Clear now, so that releasing the last reference needs no GIL. Also an exception's traceback may refer
    // back to this frame, and Python could not see that cycle.
    clear();
    return outcome;
}

int Frame::traverse(visitproc visit, void *arg) const {
    for (const py::object *object : {&given, &finish, &ended, &needed_, &found_, &error_})
        Py_VISIT(object->ptr());
    return 0;
}

void Frame::clear() {
    given = finish = ended = needed_ = found_ = error_ = py::object();
    convert_ = nullptr;
}

double Frame::milliseconds() const {
    return std::chrono::duration<double, std::milli>(ended_at_ - begun_).count();
}

void Frame::settle(py::object value) {
    finish = py::object();
    found_ = std::move(value);
}

void Frame::fail(py::object error) {
    finish = py::object();
    error_ = std::move(error);
    done_ = true;
}

} // namespace mpscnn::bindings
