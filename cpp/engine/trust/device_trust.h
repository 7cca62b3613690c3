#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "engine/backend/backend.h"
#include "engine/trust/check_process.h"

namespace mpscnn::engine {

// Decides whether a device may be used, and which of its implementations of layers may be used. The device's
// results are compared with the CPU engine's (self_check.h, case_check.h) once for each identity of its
// backend, and the verdict is recorded (check_record.h). The check runs in child processes, because a
// framework may end the process and a driver may hang.

/// Return whether the environment has MPSCNN_SKIP_SELF_CHECK=1. Every device is trusted then.
bool skips_self_check();

/// Return the verdict for the device "auto". The device never runs in this process. Processes that check the
/// same identity at the same time wait for the first one. A verdict that a second check would repeat is
/// recorded; other verdicts are valid for this process only. The first call logs one warning about what is
/// not used.
Verdict verdict_for_auto(const Backend &subject, const CheckProgram &check);

/// Return the verdict that this process knows or that is recorded, or nothing for a device that nobody has
/// checked yet. Nothing is checked.
std::optional<Verdict> verdict_so_far(const Backend &subject);

/// Return the verdict for a device that the user named. It is like verdict_for_auto, but the check runs in
/// this process if the check program cannot start or does not see the device. Throws DeviceError for a device
/// that is refused.
Verdict verdict_when_asked(const Backend &subject, const Backend &reference, const CheckProgram &check);

/// Check a device again, replace the recorded verdict, and forget the verdicts on networks. Throws
/// DeviceError for a device that is refused.
Verdict check_again(const Backend &subject, const Backend &reference, const CheckProgram &check);

/// A network of a user that both engines run in a child process, before "auto" takes the device for it.
struct CheckedNetwork {
    std::string name;
    std::string identity; ///< one line, which changes whenever results or times may change
    /// Make the request for the check program. It is called for each start of the program.
    std::function<std::string()> request;
    /// True: the times are those of one run. A verdict with them is neither recorded nor kept.
    bool cold = false;
};

/// Return the verdict on a network on a device: the recorded one, or the result of a check in a child
/// process. Nothing is refused if the check program cannot begin, because the device itself has passed its
/// check.
Verdict verdict_on_network(const Backend &subject, const CheckedNetwork &network, const CheckProgram &check);

/// Return the verdict on a network that this process knows or that is recorded. Nothing is checked.
std::optional<Verdict> known_verdict(const Backend &subject, const std::string &network_identity);

/// Let this process know a verdict on a network.
void keep_verdict(const Backend &subject, const std::string &network_identity, const Verdict &verdict);

/// Return the same device without the implementations that the verdict refuses.
std::shared_ptr<const Backend> trusted(std::shared_ptr<const Backend> subject, const Verdict &verdict);

/// Describe the verdict on a device that is not refused: the record that identifies device, system and
/// library, and the implementations that are not used.
std::string verdict_text(const Backend &subject, const Verdict &verdict);
/// Describe why a device is not used, and how to check it again.
std::string refusal_text(const Backend &subject, const Verdict &verdict);
/// List the implementations that are not used, with reasons; empty if all are used.
std::string replacement_text(const Backend &subject, const Verdict &verdict);

/// Set a program with its arguments that checks devices if mpscnn-check cannot begin; see
/// mpscnn_set_check_program.
void set_other_check_program(std::vector<std::string> command);

/// Return the command of mpscnn-check for a device name ("metal"). The program is next to the file of this
/// library, or in the same installation's directory for programs. A case may take MPSCNN_SELF_CHECK_SECONDS
/// seconds (default: 60).
CheckProgram installed_check_program(const std::string &device);

} // namespace mpscnn::engine
