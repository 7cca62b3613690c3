#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace mpscnn::platform {

/// How a program that run_program started has ended.
struct ChildEnd {
    std::string not_started; ///< why it did not start; empty if it did
    bool timed_out = false;  ///< true: it was killed because it wrote nothing for too long
    bool stopped = false;    ///< true: it was killed because the caller wanted it
    bool left = false;       ///< true: the caller needs no more output, and the program goes on
    int signal = 0;          ///< the signal that ended it, or 0
    int status = 0;          ///< its exit status, if no signal ended it; 0 if the status is lost
    std::string output;      ///< the last part of its stdout and stderr, at most 8 KiB
};

/// Receives a program's output in pieces, as they arrive.
using OutputListener = std::function<void(std::string_view)>;

/// Called at least twice a second while a program runs. If it returns true, the program is killed.
using StopRequest = std::function<bool()>;

/// Run a program (the path of a file) with these arguments, an empty stdin and this process's environment,
/// and wait until it has ended. It is killed if it writes nothing for as long as `limit`; time in which the
/// machine sleeps does not count. A program that a driver keeps from ending is left behind after some
/// seconds. posix_spawn starts it, so no copy of this process runs, not even for a moment. It stays in this
/// process's group, so that Ctrl-C in a terminal ends it too. If `enough` returns true after some output, the
/// program is left alone, and a thread takes its exit status. It is killed after ten times `limit`.
ChildEnd run_program(const std::string &program, const std::vector<std::string> &arguments,
                     std::chrono::milliseconds limit, const OutputListener &listener = {},
                     const StopRequest &stop = {}, const StopRequest &enough = {});

/// Run a program that goes on if this process stops listening or ends, and that Ctrl-C does not reach. Listen
/// until it has ended or `stop` returns true. A system without /bin/sh cannot start it: then `not_started`
/// says why. `status` and `signal` are unknown.
ChildEnd run_in_background(const std::string &program, const std::vector<std::string> &arguments,
                           const OutputListener &listener, const StopRequest &stop);

/// Leave the session of the process that started this one, and go on if nobody reads this process's output.
void become_independent() noexcept;

/// Let other processes use the processors first, for the rest of this process and of those that it starts.
void lower_priority() noexcept;

/// Return the time since some moment, without the time in which the machine slept.
std::chrono::nanoseconds awake_time();

/// Return a text such as "signal 6 (Aborted)".
std::string signal_text(int signal);

/// Return the file that contains this code: the shared library, or the program that it is linked into. The
/// result is empty if the system does not report the file.
std::string own_file();

} // namespace mpscnn::platform
