#include <array>
#include <cstdio>
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

/// Run a request of the library, and write each line at once to stdout, whose buffer Python does not know.
void check_cases(const std::string &device, const std::string &request) {
    mpscnn::detail::ensure(mpscnn_check_cases(
        device.c_str(), request.c_str(),
        [](const char *line, void *) {
            std::printf("%s\n", line);
            std::fflush(stdout);
        },
        nullptr));
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

/// Return true if a wait for a device should end: Python's main thread got Ctrl-C, and its handler raised.
int end_wait(void *) {
    const ForeignGil locked;
    if (!locked) return 0;
    pass_messages(nullptr); // Python's main thread, which may be this one, takes them only after the wait
    if (PyErr_CheckSignals() == 0) return 0;
    PyErr_Clear();
    PyErr_SetInterrupt(); // the handler raises again when the library has returned
    return 1;
}

/// Let Python's own program check devices where the system does not let mpscnn-check begin. It finds the same
/// package. A frozen program, or one that embeds Python, has no such program.
void set_check_program() {
    const py::module_ sys = py::module_::import("sys");
    const py::object program = sys.attr("executable");
    if (py::hasattr(sys, "frozen") || !py::isinstance<py::str>(program) || py::len(program) == 0) return;
    const std::string path = py::repr(sys.attr("path")).cast<std::string>();
    const std::string code =
        "import sys\nsys.path[:] = " + path +
        "\nfrom mpscnn._private.check_program import main\nsys.exit(main(*sys.argv[1:]))";
    const std::string executable = program.cast<std::string>();
    const std::array<const char *, 3> command{executable.c_str(), "-c", code.c_str()};
    mpscnn::detail::ensure(mpscnn_set_check_program(command.data(), static_cast<int>(command.size())));
}

} // namespace

void bind_messages(py::module_ &module) {
    set_check_program();
    module.def("check_cases", &check_cases, py::arg("device"), py::arg("request"),
               py::call_guard<GilReleased>(), "Runs a request of the library, as mpscnn-check does.");
    mpscnn_set_log_callback(keep_message, nullptr);
    mpscnn_set_check_callback(follow_check, nullptr);
    mpscnn_set_wait_callback(end_wait, nullptr);
}

} // namespace mpscnn::bindings
