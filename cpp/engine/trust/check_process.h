#pragma once

#include <chrono>
#include <functional>
#include <initializer_list>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "core/child_process.h"
#include "core/text.h"
#include "engine/trust/case_check.h"

namespace mpscnn::engine {

// Runs cases of the check in a child process, because a framework may end the process and a driver may block
// it. The two processes exchange lines. A request names the cases and the refused implementations. The report
// has a line when a case begins, when it uses an implementation and when it ends.

/// The command that runs cases in a child process: the file `program` with `arguments` and a request as the
/// last argument. The program calls run_requested_cases.
struct CheckProgram {
    std::string program;
    std::vector<std::string> arguments;
    std::chrono::milliseconds limit; ///< the longest time without output before the process is ended
    /// Another program with its first arguments, which runs cases if `program` cannot begin: systems kill
    /// programs that they do not trust. Empty if there is none.
    std::vector<std::string> instead = {};

    /// Return this check with the other program.
    CheckProgram other() const;
};

/// Functions that are called while the cases run. Each may be empty.
struct CheckObserver {
    /// Called before a process begins with its first case, and when a process reports that a case has begun.
    std::function<void(std::size_t number)> began = {};
    /// Called at least twice a second with the number of results. If it returns true, the check ends, and
    /// says nothing about the device.
    std::function<bool(std::size_t done)> stop = {};
};

/// How a process uses results of the compiler.
enum class Compiled {
    used,    ///< it compiles shaders ahead in other threads, and uses and writes the file that keeps them
    ignored, ///< it compiles only what its cases need, and leaves that file alone
    deleted  ///< the same, and it deletes the file
};

/// Return the request, a text for run_requested_cases. `some_right` is true if a case was right before.
std::string check_request(const std::vector<std::size_t> &cases, const Implementations::Reasons &refused,
                          Compiled compiled, bool some_right);

/// Writes the lines of a check program's report. Several threads may use it.
class CheckReport {
public:
    /// `write` must write each line immediately, because the process may end with the next step.
    explicit CheckReport(std::function<void(const std::string &line)> write) : write_(std::move(write)) {}

    void greet(const Backend &subject);
    /// Report that a case begins.
    void begin(std::size_t number);
    /// Report that the case uses an implementation.
    void take(const std::string &implementation);
    /// Report how many of the shaders that are compiled ahead are done.
    void compiled(std::size_t done, std::size_t all);
    /// Report that the process goes on, so that the limit for silence begins again.
    void go_on();
    /// Write a line for people. It becomes a part of the reason if the process is ended now.
    void say(const std::string &text);
    /// Report the result of the case, with its times.
    void finish(const CaseResult &result);
    /// Report why no further case runs.
    void stop(const std::string &reason);
    void end();

private:
    void write(std::initializer_list<TextPart> parts);

    std::mutex mutex_;
    std::function<void(const std::string &line)> write_;
};

/// Run the cases of a request in this process, which is the check program's. `report_line` gets the lines of
/// the report, and must write each one immediately. Several threads call it, but one at a time. Throws
/// ParameterError for a text that is not a request.
void run_requested_cases(const Backend &subject, const Backend &reference, const std::string &request,
                         const std::function<void(const std::string &line)> &report_line);

/// Runs cases by starting check programs; a CaseRunner.
class CheckProcesses {
public:
    CheckProcesses(const Backend &subject, const CheckProgram &program, CheckObserver observer = {});

    CaseBatch run(const std::vector<std::size_t> &cases, const Implementations::Reasons &refused);
    /// Run a request for something else, which the report calls case 0.
    CaseBatch run(const std::string &request) { return run(request, {0}); }

    /// Return whether the program could not begin: it cannot be started, sees no device, has another version,
    /// or was killed before its first line.
    bool not_begun() const { return not_begun_; }
    /// Return whether a check was ended from outside, for example by Ctrl-C. Its result then says nothing
    /// about the device.
    bool interrupted() const { return interrupted_; }

private:
    struct Reader;
    CaseBatch run(const std::string &request, const std::vector<std::size_t> &cases);
    void note(std::initializer_list<TextPart> parts) const;
    void listen(Reader &reader, std::string_view text);
    CaseBatch batch_of(const Reader &reader, const platform::ChildEnd &end, std::size_t cases);
    CaseBatch refusal_of(const Reader &reader, const platform::ChildEnd &end, const std::string &text);
    std::string failure_of(const platform::ChildEnd &end, const std::string &text) const;
    void note_failure(CaseBatch &batch, const Reader &reader, const platform::ChildEnd &end,
                      const std::string &text);
    void note_end(CaseBatch &batch, std::size_t number, const std::string &reason);
    void note_hang(CaseBatch &batch, const Reader &reader, const std::string &text);

    const Backend &subject_;
    CheckProgram program_;
    CheckObserver observer_;
    std::map<std::size_t, int> hangs_; ///< how often each case did not respond
    /// Numbers of processes that ended or did not respond since the last right result.
    int ends_ = 0, silences_ = 0;
    std::size_t done_ = 0; ///< number of cases with a result, which the log states
    bool some_right_ = false;
    bool alone_ = false; ///< true after a process that compiled ahead has failed
    bool not_begun_ = false, interrupted_ = false;
};

/// Return the first line of a report. The library compares it, to see that the check program has the same
/// version and sees the same device.
std::string check_greeting(const Backend &subject);
/// The prefix of a check program's message about a fault.
inline constexpr const char *check_program_error = "mpscnn-check: ";

} // namespace mpscnn::engine
