#include <deque>
#include <mutex>
#include <string>

#include "bind.h"
#include "gil.h"

namespace mpscnn::bindings {

namespace {

/// Log messages that wait for Python. The library may log while it holds locks, for which a thread with the
/// GIL may wait. So the thread that logs does not ask for the GIL; Python's main thread takes the messages.
struct Messages {
    struct Message {
        int level;
        std::string text;
    };
    std::mutex mutex;
    std::deque<Message> waiting;
    bool is_announced = false; ///< Python will call pass_messages
};

Messages &messages() {
    static Messages &instance = *new Messages; // other threads may log while the process ends
    return instance;
}

/// Give the messages to logging.getLogger("mpscnn"). A program that has not imported logging gets none, so
/// that they cost no import.
int pass_messages(void *) {
    std::deque<Messages::Message> taken;
    {
        const std::lock_guard lock(messages().mutex);
        taken.swap(messages().waiting);
        messages().is_announced = false;
    }
    try {
        if (!py::module_::import("sys").attr("modules").contains("logging")) return 0;
        const py::object log = py::module_::import("mpscnn._private.messages").attr("log");
        for (const auto &[level, text] : taken)
            call_python(log, py::make_tuple(level, py::str(text.c_str(), text.size())));
    } catch (py::error_already_set &error) {
        error.discard_as_unraisable("mpscnn: a log message");
    }
    return 0;
}

void keep_message(int level, const char *text, void *) {
    // A program that never lets the main thread run must not fill the memory.
    constexpr std::size_t most = 1000;
    const std::lock_guard lock(messages().mutex);
    if (messages().waiting.size() == most) messages().waiting.pop_front();
    messages().waiting.push_back({level, text});
    if (!messages().is_announced) messages().is_announced = Py_AddPendingCall(pass_messages, nullptr) == 0;
}

/// Return true if the check should end: Python's main thread got Ctrl-C, and its handler raised.
int follow_check(const char *device, std::int64_t done, std::int64_t all, void *) {
    const ForeignGil locked;
    if (!locked) return 0;
    try {
        const py::object follow = py::module_::import("mpscnn._private.first_use").attr("follow_check");
        call_python(follow, py::make_tuple(device, done, all));
        return 0;
    } catch (py::error_already_set &error) {
        if (error.matches(PyExc_KeyboardInterrupt)) {
            PyErr_SetInterrupt(); // Python raises it when the library has returned
            return 1;
        }
        error.discard_as_unraisable("mpscnn: the progress of a check");
        return 0;
    }
}

} // namespace

void bind_messages() {
    mpscnn_set_log_callback(keep_message, nullptr);
    mpscnn_set_check_callback(follow_check, nullptr);
}

} // namespace mpscnn::bindings
