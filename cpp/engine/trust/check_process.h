#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "engine/trust/case_check.h"

namespace mpscnn::engine {

// Runs cases of the check in a child process, which a framework may end and a driver may block. The two
// processes exchange lines. A request names the cases and the refused implementations. Each case is reported
// when it begins, when it takes an implementation and when it ends.

/// The command that runs cases in a child process: the file `program` with `arguments` and a request as the
/// last argument. The program calls run_requested_cases.
struct CheckProgram {
    std::string program;
    std::vector<std::string> arguments;
    std::chrono::milliseconds limit; ///< the longest time without output
};

/// Return the request for run_requested_cases.
std::string check_request(const std::vector<std::size_t> &cases, const Implementations::Reasons &refused);

/// Run the cases of a request in this process, which is the check program's. `report` receives lines and must
/// write each one immediately. Throws ParameterError for a text that is not a request.
void run_requested_cases(const Backend &subject, const Backend &reference, const std::string &request,
                         const std::function<void(const std::string &line)> &report);

/// A CaseRunner of the library that starts check programs.
class CheckProcesses {
public:
    CheckProcesses(const Backend &subject, const CheckProgram &program);

    CaseBatch run(const std::vector<std::size_t> &cases, const Implementations::Reasons &refused);

    /// Whether the program could not begin: it cannot be started, sees no device, or has another version.
    bool not_begun() const { return not_begun_; }
    /// Whether a check was ended from outside, for example by Ctrl-C. Then it says nothing about the device.
    bool interrupted() const { return interrupted_; }

private:
    struct Reader;
    void note_end(CaseBatch &batch, std::size_t number, const std::string &reason);
    void note_hang(CaseBatch &batch, const Reader &reader, const std::string &said);

    const Backend &subject_;
    const CheckProgram &program_;
    std::map<std::size_t, int> hangs_; ///< counts by case
    int ends_ = 0, silences_ = 0;      ///< counts of processes since the last right result
    std::size_t done_ = 0;             ///< cases with an answer, for the log
    bool not_begun_ = false, interrupted_ = false;
};

/// Return the first line of a report. It shows the library that the check program has the same version and
/// sees the same device.
std::string check_greeting(const Backend &subject);
/// The prefix of a check program's message about a fault.
inline constexpr const char *check_program_error = "mpscnn-check: ";

} // namespace mpscnn::engine
