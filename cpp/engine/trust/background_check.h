#pragma once

#include <functional>
#include <optional>
#include <string>

#include "engine/trust/check_process.h"
#include "engine/trust/device_trust.h"

namespace mpscnn::engine {

// Checks a device, and a network on it, in a process that goes on when the one that starts it does not wait
// or ends. That process first runs the network twice on the device, and reports the verdict. Then it measures
// the network on the warm device, and checks the device with low priority. The last two verdicts are
// recorded.

/// The verdict of a process in the background, or the reason why there is none.
struct BackgroundResult {
    std::optional<Verdict> verdict; ///< on the network
    std::string why_none;           ///< empty with a verdict
    bool begun = true;              ///< false: no program could begin
};

/// Start a process that runs a request for a network, or none if the request is empty. Wait for its verdict
/// as long as MPSCNN_PREFLIGHT_SECONDS says (default: 2 seconds). Without a request, wait until the process
/// has begun. `what` names the network for the function that follows checks. While the device itself is being
/// checked, no process is started.
BackgroundResult check_in_background(const Backend &subject, const CheckProgram &program,
                                     const std::function<std::string()> &request, const std::string &what);

/// Returns the verdict on a network; `cold` is that of CheckedNetwork.
using NetworkChecker = std::function<std::optional<Verdict>(bool cold)>;

/// Run a request for a process in the background, in this process. `open` gets the request for the network.
void run_in_background(const Backend &subject, const CheckProgram &program, const std::string &request,
                       const std::function<NetworkChecker(const std::string &request)> &open,
                       const std::function<void(const std::string &line)> &report);

/// Return the request of a process in the background for a network, or nothing for another text.
std::optional<std::string> background_request(const std::string &text);

/// The reason why a device that nobody has checked yet is not used.
inline constexpr const char *full_check_runs =
    "its full check has not ended; it runs in the background, and later programs take its result";

} // namespace mpscnn::engine
