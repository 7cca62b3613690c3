#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/backend/written_program.h"
#include "engine/run/backends.h"
#include "engine/run/program.h"
#include "engine/trust/background_check.h"
#include "engine/trust/check_process.h"
#include "engine/trust/device_trust.h"

namespace mpscnn::engine {

// Before "auto" takes a device for a network, a child process (mpscnn-check) runs the network on the device
// and on the CPU engine. If the device's result is wrong or missing, or the CPU engine is faster, "auto"
// takes the CPU. The result is recorded for the network, its options, the device and the system
// (check_record.h).

/// How long a GPU works before its time counts. It raises its clock only after some work.
inline constexpr std::chrono::nanoseconds warm_up_time = std::chrono::milliseconds(200);

/// Return the choice for a network for which "auto" has chosen a device: the same, or the CPU with the
/// reason. The check runs in the background. If it does not end in time (MPSCNN_PREFLIGHT_SECONDS), this
/// program uses the CPU, and later ones take the result. Return the same choice for networks that no file can
/// hold or that are in training, and without a check if MPSCNN_PREFLIGHT=off or MPSCNN_SKIP_SELF_CHECK=1.
/// With MPSCNN_PREFLIGHT=results, times do not count. Throws ParameterError for another value of
/// MPSCNN_PREFLIGHT.
BackendChoice after_preflight(BackendChoice choice, const Graph &graph, const CompileOptions &options,
                              const CheckProgram &check);

/// Writes a network as a program for the device, for inputs of these shapes.
using PreflightWriter = std::function<WrittenProgram(const std::vector<Shape> &shapes)>;

/// Return the verdict on a network on a device that "auto" may choose: the recorded one, or the result of a
/// check. Return nothing for a network without preflights, or if they are turned off. `write` is for a device
/// that needs a program, and is called only for a check. `cold` is that of CheckedNetwork.
std::optional<Verdict> verdict_of_preflight(const BackendChoice &choice, const Graph &graph,
                                            const CompileOptions &options, const CheckProgram &check,
                                            const PreflightWriter &write = {}, bool cold = false);

/// Return whether there are preflights (MPSCNN_PREFLIGHT, MPSCNN_SKIP_SELF_CHECK).
bool preflights_are_on();

/// Return what checks the network of a request, in the process that runs a check in the background.
NetworkChecker requested_network(std::shared_ptr<const Backend> device, const std::string &request,
                                 const CheckProgram &check);

/// Return whether times count (MPSCNN_PREFLIGHT).
bool preflight_compares_times();

/// Return a time as text, such as "1.25 ms".
std::string milliseconds(std::int64_t nanoseconds);

/// Return the choice with a warning if the network's result is on record as wrong or missing. Nothing runs.
BackendChoice with_recorded_warning(BackendChoice choice, const Graph &graph, const CompileOptions &options);

} // namespace mpscnn::engine
