#include "gil.h"

#include <pthread.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <new>

namespace mpscnn::bindings {

namespace {

[[gnu::noinline]] void restore(PyThreadState *state) {
    NoUnwinding here;
    PyEval_RestoreThread(state);
    here.passed();
}

[[gnu::noinline]] PyObject *call_object(PyObject *function, PyObject *arguments) {
    NoUnwinding here;
    PyObject *result = PyObject_Call(function, arguments, nullptr);
    here.passed();
    return result;
}

[[gnu::noinline]] PyObject *next_object(PyObject *iterator) {
    NoUnwinding here;
    PyObject *result = PyIter_Next(iterator);
    here.passed();
    return result;
}

[[gnu::noinline]] void acquire(std::optional<py::gil_scoped_acquire> &locked) {
    NoUnwinding here;
    locked.emplace();
    here.passed();
}

/// The number of library threads that have the GIL or wait for it, and a bit that admits no more of them.
constexpr std::uint32_t closed = 1u << 31;
std::atomic<std::uint32_t> entrance = 0;
PyThread_type_lock all_left = nullptr; ///< locked until the last one has left after the entrance was closed

std::atomic<unsigned> forks_so_far = 0;

bool enter() {
    std::uint32_t inside = entrance.load();
    do {
        if ((inside & closed) != 0) return false;
    } while (!entrance.compare_exchange_weak(inside, inside + 1));
    return true;
}

void leave() {
    if (entrance.fetch_sub(1) == (closed | 1u)) PyThread_release_lock(all_left);
}

/// Let no more library threads take the GIL, and wait until the last one has left. An exception from a signal
/// handler ends the wait; NoUnwinding then stops the threads that are still inside.
void close_entrance() {
    if (entrance.fetch_or(closed) == 0) return;
    acquire_interruptibly(all_left);
}

/// Keeps the Python thread state of a library thread.
class KeptThreadState {
public:
    void keep() {
        if (kept_) return;
        py::gil_scoped_acquire locked;
        locked.inc_ref();
        kept_ = true;
    }
    ~KeptThreadState() {
        if (!kept_ || !enter()) return;
        std::optional<py::gil_scoped_acquire> locked;
        acquire(locked);
        locked->dec_ref();
        locked.reset();
        leave();
    }

private:
    bool kept_ = false;
};

} // namespace

NoUnwinding::~NoUnwinding() {
    if (passed_ || std::uncaught_exceptions() != exceptions_) return;
    for (;;) pause();
}

GilReleased::~GilReleased() { restore(state_); }

PyThread_type_lock taken_lock() {
    PyThread_type_lock lock = PyThread_allocate_lock();
    if (lock == nullptr) throw std::bad_alloc();
    PyThread_acquire_lock(lock, WAIT_LOCK);
    return lock;
}

void acquire_interruptibly(PyThread_type_lock lock) {
    for (;;) {
        PyLockStatus status = PY_LOCK_FAILURE;
        {
            const GilReleased unlocked;
            constexpr PY_TIMEOUT_T for_ever = -1;
            status = PyThread_acquire_lock_timed(lock, for_ever, 1);
        }
        if (status == PY_LOCK_ACQUIRED) return;
        if (PyErr_CheckSignals() != 0) throw py::error_already_set();
    }
}

py::object call_python(const py::object &function, const py::tuple &arguments) {
    auto result = py::reinterpret_steal<py::object>(call_object(function.ptr(), arguments.ptr()));
    if (!result) throw py::error_already_set();
    return result;
}

py::object next_of(const py::iterator &iterator) {
    auto result = py::reinterpret_steal<py::object>(next_object(iterator.ptr()));
    if (!result && PyErr_Occurred() != nullptr) throw py::error_already_set();
    return result;
}

unsigned forks() { return forks_so_far.load(); }

ForeignGil::ForeignGil() {
    if (enter()) acquire(locked_);
}

ForeignGil::~ForeignGil() {
    if (!locked_) return;
    locked_.reset();
    leave();
}

void ForeignGil::keep_thread_state() {
    static thread_local KeptThreadState state;
    state.keep();
}

bool ForeignGil::is_closed() { return (entrance.load() & closed) != 0; }

void ForeignGil::close_at_exit() {
    all_left = taken_lock();
    pthread_atfork(nullptr, nullptr, [] {
        entrance.store(0); // a forked child has none of these threads
        ++forks_so_far;
    });
    py::module_::import("atexit").attr("register")(py::cpp_function(close_entrance));
}

} // namespace mpscnn::bindings
