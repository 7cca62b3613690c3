#pragma once

#include <string>

#include "engine/run/backend.h"
#include "engine/trust/check_process.h"

namespace mpscnn::engine {

// Whether a device may be used, and which of its implementations of layers. Its answers are compared with the
// CPU engine's (self_check.h, case_check.h) once for each identity of its backend, and the verdict is on
// record (check_record.h). Frameworks of a device may report misuse by ending the process, and drivers may
// hang: the check runs in processes of its own.

/// Whether the environment says MPSCNN_SKIP_SELF_CHECK=1: then every device is trusted.
bool skips_self_check();

/// For "auto". Never runs the device in this process. Processes that ask for the same identity at the same
/// time wait for the first of them. A verdict that would be found again goes on record; others are kept for
/// this process only. The first call in a process writes one warning to the log for what is not used.
Verdict verdict_for_auto(const Backend &subject, const CheckProgram &check);

/// For a device that was asked for by name: the same, but where the check program cannot be started, or does
/// not see the device, the check runs in this process. Throws DeviceError for a device that is not used.
Verdict verdict_when_asked(const Backend &subject, const Backend &reference, const CheckProgram &check);

/// Checks whatever is on record, and replaces that. Throws as verdict_when_asked.
Verdict check_again(const Backend &subject, const Backend &reference, const CheckProgram &check);

/// The same device, without the implementations that are not right.
std::shared_ptr<const Backend> trusted(std::shared_ptr<const Backend> subject, const Verdict &verdict);

/// The verdict on a device that is used, for people, with the record's identity.
std::string verdict_text(const Backend &subject, const Verdict &verdict);
/// Why a device is not used, and how it is checked again.
std::string refusal_text(const Backend &subject, const Verdict &verdict);
/// Which implementations are not used and why; empty where all are.
std::string replacement_text(const Backend &subject, const Verdict &verdict);

/// The program mpscnn-check next to the file that this library was loaded from, or in the directory for
/// programs of the installation that this file belongs to; checks the device of this name ("metal"). A case
/// may take as long as MPSCNN_SELF_CHECK_SECONDS says, 60 unless told.
CheckProgram installed_check_program(const std::string &device);

} // namespace mpscnn::engine
