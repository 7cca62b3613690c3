#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "engine/trust/case_check.h"

namespace mpscnn::engine {

// Cases of the check in a process of their own, which a framework may end and a driver may hold up. The two
// sides speak in lines: a request is the cases and what is refused, and each case is reported when it begins,
// when it takes an implementation and when it ends.

/// How to run cases in a process of its own: `program`, a file, is started with `arguments` and a request as
/// the last one, and calls run_requested_cases.
struct CheckProgram {
    std::string program;
    std::vector<std::string> arguments;
    std::chrono::milliseconds limit; ///< so long may it write nothing
};

/// The request for run_requested_cases.
std::string check_request(const std::vector<std::size_t> &cases, const Implementations::Reasons &refused);

/// The side of the check program: runs the cases of a request in this process. `report` receives lines,
/// which it must write at once. Throws ParameterError for a text that is no request.
void run_requested_cases(const Backend &subject, const Backend &reference, const std::string &request,
                         const std::function<void(const std::string &line)> &report);

/// The side of the library: a CaseRunner by check programs.
class CheckProcesses {
public:
    CheckProcesses(const Backend &subject, const CheckProgram &program);

    CaseBatch run(const std::vector<std::size_t> &cases, const Implementations::Reasons &refused);

    /// The program cannot be started, or does not begin: it may see no device, or be of another version.
    bool not_begun() const { return not_begun_; }
    /// Somebody ended a check from outside, as Ctrl-C does: nothing is known.
    bool interrupted() const { return interrupted_; }

private:
    struct Reader;
    void note_end(CaseBatch &batch, std::size_t number, const std::string &reason);
    void note_hang(CaseBatch &batch, const Reader &reader, const std::string &said);

    const Backend &subject_;
    const CheckProgram &program_;
    std::map<std::size_t, int> hangs_; ///< by case
    int ends_ = 0, silences_ = 0;      ///< of processes, since the last right answer
    std::size_t done_ = 0;             ///< cases with an answer, for the log
    bool not_begun_ = false, interrupted_ = false;
};

/// The first line of a check program's report, by which the library knows that both are of one version and
/// see the same device.
std::string check_greeting(const Backend &subject);
/// The prefix of a check program's message about a fault.
inline constexpr const char *check_program_error = "mpscnn-check: ";

} // namespace mpscnn::engine
