#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "engine/run/backend.h"

namespace mpscnn::engine {

// Whether a device may be used. Its answers are compared with the CPU engine's (self_check.h) once for each
// identity of its backend, and what came out is on record (check_record.h). Frameworks of a device may report
// misuse by ending the process, and drivers may hang: for "auto" the first check runs in a process of its
// own.

/// Whether the environment says MPSCNN_SKIP_SELF_CHECK=1: then every device is trusted.
bool skips_self_check();

/// Compares in this process, whatever is on record, and puts right answers there. Throws DeviceError for
/// wrong ones.
void check_answers(const Backend &subject, const Backend &reference);

/// For a device that was asked for by name: compares in this process unless this process knows the answer or
/// right answers are on record. Throws DeviceError for wrong answers, also those that this process found
/// before. Looks at nothing where skips_self_check().
void require_right_answers(const Backend &subject, const Backend &reference);

/// How to check a device in a process of its own: `program`, a file, is started with `arguments`. It ends
/// with status 0, and right_answers_text() as the last that it writes, if the device answers rightly.
struct CheckProgram {
    std::string program;
    std::vector<std::string> arguments;
    std::chrono::milliseconds limit;
};

/// The last text that a check program writes if the device passed.
std::string right_answers_text(const Backend &subject);
/// The prefix of a check program's message about a fault.
inline constexpr const char *check_program_error = "mpscnn-check: ";

/// For "auto": why the device must not be chosen, or nothing. Never runs the device in this process.
/// Processes that ask for the same identity at the same time wait for the first of them. A check that crashed
/// or reached the time limit stays on record until check_answers passes the device; other failures are kept
/// for this process only. The first report in a process writes a warning to the log.
std::optional<std::string> why_not_trusted(const Backend &subject, const CheckProgram &check);

/// The program mpscnn-check next to the file that this library was loaded from, or in the directory for
/// programs of the installation that this file belongs to; checks the device of this name ("metal"). With the
/// time limit of MPSCNN_SELF_CHECK_SECONDS, 60 unless told.
CheckProgram installed_check_program(const std::string &device);

} // namespace mpscnn::engine
