#include "core/child_process.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <thread>

#include <dlfcn.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#if defined(__APPLE__)
#include <crt_externs.h>
#else
extern char **environ;
#endif

#include "core/text.h"

namespace mpscnn::platform {

namespace {

using namespace std::chrono_literals;
using std::chrono::nanoseconds;

constexpr std::size_t max_output = 8 << 10;
/// The time between two questions whether to stop.
constexpr nanoseconds tick = 200ms;
/// The time that a process may take to end after its output has ended, or after it was killed.
constexpr nanoseconds time_to_end = 10s;

/// The descriptor number at which the child holds a third copy of its pipe end (see Pipe). It is above the
/// numbers that programs expect.
constexpr int kept_descriptor = 9;

char **environment() {
#if defined(__APPLE__)
    return *_NSGetEnviron(); // a shared library cannot name `environ`
#else
    return environ;
#endif
}

class Descriptor {
public:
    Descriptor() = default;
    ~Descriptor() { reset(); }
    Descriptor(const Descriptor &) = delete;
    Descriptor &operator=(const Descriptor &) = delete;

    /// Take over a descriptor and give it a number above those that the child gets, because dup2 of a number
    /// onto itself would leave it closed on exec. Return false if there is no such number.
    bool take(int number) {
        reset();
        number_ = fcntl(number, F_DUPFD_CLOEXEC, kept_descriptor + 1);
        const int why = errno;
        close(number);
        errno = why;
        return number_ >= 0;
    }
    void reset() {
        if (number_ >= 0) close(number_);
        number_ = -1;
    }
    int get() const { return number_; }

private:
    int number_ = -1;
};

/// The pipe from which this process reads the child's stdout and stderr. The child also holds the write end
/// under a third number, which it does not know. So the pipe ends when the process ends, even if it closes
/// stdout and stderr before.
struct Pipe {
    Descriptor read, write;

    bool open() {
        std::array<int, 2> ends{};
        if (pipe(ends.data()) != 0) return false;
        const bool taken = read.take(ends[0]);
        return write.take(ends[1]) && taken;
    }
};

/// The file actions and attributes for posix_spawn.
class SpawnSettings {
public:
    explicit SpawnSettings(int output) {
        posix_spawn_file_actions_init(&files_);
        posix_spawn_file_actions_addopen(&files_, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
        for (int number : {STDOUT_FILENO, STDERR_FILENO, kept_descriptor})
            posix_spawn_file_actions_adddup2(&files_, output, number);
        posix_spawnattr_init(&attributes_);
        sigset_t none;
        sigemptyset(&none);
        posix_spawnattr_setsigmask(&attributes_, &none);
        // Python ignores SIGPIPE, and a child would inherit that. A check whose reader has ended should end.
        sigset_t usual;
        sigemptyset(&usual);
        sigaddset(&usual, SIGPIPE);
        posix_spawnattr_setsigdefault(&attributes_, &usual);
        short flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
#if defined(__APPLE__)
        flags |= POSIX_SPAWN_CLOEXEC_DEFAULT; // close all other descriptors in the child
#endif
        posix_spawnattr_setflags(&attributes_, flags);
    }
    ~SpawnSettings() {
        posix_spawnattr_destroy(&attributes_);
        posix_spawn_file_actions_destroy(&files_);
    }
    SpawnSettings(const SpawnSettings &) = delete;
    SpawnSettings &operator=(const SpawnSettings &) = delete;

    int start(const std::string &program, const std::vector<std::string> &arguments, pid_t &child) const {
        std::vector<char *> values;
        values.push_back(const_cast<char *>(program.c_str()));
        for (const std::string &argument : arguments) values.push_back(const_cast<char *>(argument.c_str()));
        values.push_back(nullptr);
        return posix_spawn(&child, program.c_str(), &files_, &attributes_, values.data(), environment());
    }

private:
    posix_spawn_file_actions_t files_;
    posix_spawnattr_t attributes_;
};

/// Wait until something can be read or the pipe has ended. Return false if neither happens in time.
bool wait_readable(int descriptor, nanoseconds time) {
    const auto milliseconds = std::chrono::ceil<std::chrono::milliseconds>(std::max(time, nanoseconds(0)));
    pollfd waiting{descriptor, POLLIN, 0};
    const int ready = poll(&waiting, 1, static_cast<int>(milliseconds.count()));
    return ready > 0 || (ready < 0 && errno != EINTR); // read() will report the error
}

/// Read until the pipe ends. Set `timed_out` if nothing came for as long as `limit`, `stopped` if `stop`
/// returned true, and `left` if `enough` did.
void read_all(int descriptor, nanoseconds limit, const OutputListener &listener, const StopRequest &stop,
              const StopRequest &enough, ChildEnd &end) {
    std::array<char, 4096> part;
    nanoseconds heard = awake_time();
    for (;;) {
        if (stop && stop()) {
            end.stopped = true;
            return;
        }
        if (!wait_readable(descriptor, std::min(heard + limit - awake_time(), tick))) {
            end.timed_out = awake_time() - heard >= limit;
            if (end.timed_out) return;
            continue;
        }
        const ssize_t count = read(descriptor, part.data(), part.size());
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) return;
        const std::string_view text(part.data(), static_cast<std::size_t>(count));
        if (listener) listener(text);
        end.output += text;
        if (end.output.size() > max_output) end.output.erase(0, end.output.size() - max_output);
        heard = awake_time();
        if (enough && enough()) {
            end.left = true;
            return;
        }
    }
}

/// Take the exit status of a child that goes on, so that it leaves no entry in the system's table. Kill it if
/// it does not end in time.
void take_status_later(pid_t child, nanoseconds limit) {
    std::thread([child, last = awake_time() + limit] {
        constexpr std::chrono::milliseconds pause(200);
        for (int status = 0;;) {
            const pid_t ended = waitpid(child, &status, WNOHANG);
            if (ended == child || (ended < 0 && errno != EINTR)) return;
            if (awake_time() >= last) kill(child, SIGKILL);
            std::this_thread::sleep_for(pause);
        }
    }).detach();
}

/// Return the child's wait status. Return nothing if the program ignores SIGCHLD or another thread waits for
/// all children, so that the status is lost, or if the child does not end in time.
std::optional<int> wait_status(pid_t child) {
    int status = 0;
    for (const nanoseconds last = awake_time() + time_to_end;;) {
        const pid_t ended = waitpid(child, &status, WNOHANG);
        if (ended == child) return status;
        if (ended < 0 && errno != EINTR) return std::nullopt;
        if (awake_time() >= last) return std::nullopt;
        std::this_thread::sleep_for(1ms);
    }
}

/// Return the wait status of a child whose output has ended. A child that goes on without it is killed.
int status_of(pid_t child) {
    if (const auto status = wait_status(child)) return *status;
    int status = 0;
    if (const pid_t ended = waitpid(child, &status, WNOHANG); ended != 0) return ended == child ? status : 0;
    kill(child, SIGKILL);
    return wait_status(child).value_or(0);
}

} // namespace

ChildEnd run_program(const std::string &program, const std::vector<std::string> &arguments,
                     std::chrono::milliseconds limit, const OutputListener &listener, const StopRequest &stop,
                     const StopRequest &enough) {
    ChildEnd end;
    Pipe pipe;
    pid_t child = 0;
    int error = pipe.open() ? 0 : errno;
    if (error == 0) error = SpawnSettings(pipe.write.get()).start(program, arguments, child);
    if (error != 0) {
        end.not_started = std::strerror(error);
        return end;
    }
    pipe.write.reset(); // otherwise the pipe would stay open after the child has ended
    read_all(pipe.read.get(), limit, listener, stop, enough, end);
    if (end.left) {
        constexpr int longer = 10; // it may write a large file
        take_status_later(child, longer * limit);
        return end;
    }
    if (end.timed_out || end.stopped) kill(child, SIGKILL);
    const int status = status_of(child);
    if (WIFSIGNALED(status)) end.signal = WTERMSIG(status);
    if (WIFEXITED(status)) end.status = WEXITSTATUS(status);
    return end;
}

ChildEnd run_in_background(const std::string &program, const std::vector<std::string> &arguments,
                           const OutputListener &listener, const StopRequest &stop) {
    // The shell ends at once. So the program is a child of the system's first process, which takes its
    // status, and a caller that waits for all its children does not wait for this one. Shells let commands in
    // the background ignore SIGINT and SIGQUIT.
    std::vector<std::string> command{"-c", R"("$0" "$@" </dev/null 9>&- &)", program};
    command.insert(command.end(), arguments.begin(), arguments.end());
    constexpr std::chrono::milliseconds unlimited = std::chrono::hours(24);
    return run_program("/bin/sh", command, unlimited, listener, stop);
}

void become_independent() noexcept {
    signal(SIGPIPE, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    setsid();
}

void lower_priority() noexcept {
    constexpr int nicer = 10;
    setpriority(PRIO_PROCESS, 0, nicer);
}

nanoseconds awake_time() {
#if defined(__APPLE__)
    constexpr clockid_t clock = CLOCK_UPTIME_RAW; // CLOCK_MONOTONIC goes on while a Mac sleeps
#else
    constexpr clockid_t clock = CLOCK_MONOTONIC;
#endif
    timespec time{};
    clock_gettime(clock, &time);
    return std::chrono::seconds(time.tv_sec) + nanoseconds(time.tv_nsec);
}

std::string signal_text(int signal) {
    const char *name = strsignal(signal);
    return concat({"signal ", signal, " (", name ? name : "unknown", ")"});
}

std::string own_file() {
    Dl_info found{};
    if (dladdr(reinterpret_cast<const void *>(&own_file), &found) == 0 || !found.dli_fname) return "";
    return found.dli_fname;
}

} // namespace mpscnn::platform
