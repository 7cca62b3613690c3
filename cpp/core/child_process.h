#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace mpscnn::platform {

/// How a program ended that was started by run_program.
struct ChildEnd {
    std::string not_started; ///< why it did not start; else empty
    bool timed_out = false;  ///< it was killed after it had written nothing for too long
    int signal = 0;          ///< the signal that ended it, or 0
    int status = 0;          ///< its exit status, where no signal ended it
    std::string output;      ///< the end of what it wrote to stdout and stderr, 8 KiB at most
};

/// Receives what a program writes, in pieces as they come.
using OutputListener = std::function<void(std::string_view)>;

/// Runs a program (the path of a file) with these arguments, an empty stdin and this process's environment,
/// and waits until it has ended. It is killed when it writes nothing for as long as `limit`. It is started by
/// posix_spawn: no copy of this process runs, not even for a moment. It stays in this process's group, so
/// that Ctrl-C in a terminal ends it.
ChildEnd run_program(const std::string &program, const std::vector<std::string> &arguments,
                     std::chrono::milliseconds limit, const OutputListener &listener = {});

/// "signal 6 (Aborted)"
std::string signal_text(int signal);

/// The file that this code was loaded from: the shared library, or the program that it is linked into. Empty
/// where the system does not say.
std::string own_file();

} // namespace mpscnn::platform
