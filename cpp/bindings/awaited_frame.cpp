#include "awaited_frame.h"

#include <new>
#include <utility>

#include "errors.h"
#include "gil.h"

namespace mpscnn::bindings {

AwaitedFrame::AwaitedFrame(py::object result, py::object needed)
    : result_(std::move(result)), needed_(std::move(needed)), open_(PyThread_allocate_lock()) {
    if (open_ == nullptr) throw std::bad_alloc();
    PyThread_acquire_lock(open_, WAIT_LOCK);
}

AwaitedFrame::~AwaitedFrame() {
    PyThread_free_lock(open_);
    if (!result_ && !needed_) return;
    if (const ForeignGil locked; locked) { // the runner's thread was the last: nobody wants the result
        let_go();
        result_ = py::object();
    } else {
        needed_.release();
        result_.release();
    }
}

void AwaitedFrame::end(const std::exception_ptr &failure) {
    failure_ = failure;
    void *told = state_.exchange(this);
    PyThread_release_lock(open_);
    if (told == nullptr) return;
    const ForeignGil locked;
    if (!locked) return;
    const auto function = py::reinterpret_steal<py::function>(static_cast<PyObject *>(told));
    try {
        call_python(function);
    } catch (py::error_already_set &error) {
        error.discard_as_unraisable("the end of a frame of mpscnn.Runner");
    }
}

bool AwaitedFrame::done() const { return state_.load() == this; }

void AwaitedFrame::wait() {
    while (!done()) {
        bool opened = false;
        {
            const GilReleased unlocked;
            constexpr PY_TIMEOUT_T for_ever = -1;
            opened = PyThread_acquire_lock_timed(open_, for_ever, 1) == PY_LOCK_ACQUIRED;
            if (opened) PyThread_release_lock(open_); // for others that wait
        }
        if (!opened && PyErr_CheckSignals() != 0) throw py::error_already_set();
    }
    let_go();
}

py::object AwaitedFrame::exception() {
    wait();
    return failure_ ? exception_object(failure_) : py::none();
}

py::object AwaitedFrame::result() { return std::exchange(result_, py::object()); }

bool AwaitedFrame::tell(const py::function &function) {
    py::object kept = function; // `end` lets go of it
    void *nobody = nullptr;
    if (!state_.compare_exchange_strong(nobody, kept.ptr())) return false;
    kept.release();
    return true;
}

void AwaitedFrame::let_go() { needed_ = py::object(); }

} // namespace mpscnn::bindings
