#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/backend/backend.h"

namespace mpscnn::engine {

/// The backend that a user's choice ("auto", "cpu", "metal", "metal:Apple M2", "coreml") resolves to, with
/// the reason for it.
struct BackendChoice {
    std::shared_ptr<const Backend> backend;
    Precision precision;
    std::string reason;
    /// Text for users if an existing device was not chosen; otherwise empty.
    std::string warning = {};
    bool automatic = false; ///< true: neither the user nor MPSCNN_DEVICE named the device
    /// The time of a run on the device in nanoseconds, if a preflight has measured it; otherwise 0.
    std::int64_t time = 0;
    /// True: the device's check has not ended. Only a network whose preflight has passed may use the device.
    bool unchecked = false;
};

/// The uses for which "auto" may take a device before its check has ended.
enum class Use {
    anything, ///< work without a preflight, which the CPU does until then
    network   ///< a network, whose preflight decides; the choice may be `unchecked`
};

/// Return the names of the backends that this build has, "cpu" first.
std::vector<std::string> built_backends();

/// Return all devices of this machine, "cpu" first. Each backend of mpscnn has at least one entry, also where
/// it is unavailable.
std::vector<DeviceDescription> list_devices();

/// Choose the backend for a device. "auto" takes the device that the environment variable MPSCNN_DEVICE
/// names, otherwise a trusted Metal device (device_trust.h), otherwise the CPU, and gives the reason. Throws
/// DeviceError with the remedy for a device that does not exist or is not trusted, and ParameterError for an
/// unknown name. Only backends.cpp knows which backends exist.
BackendChoice choose_backend(const std::string &device, const std::string &precision,
                             Use use = Use::anything);

/// Choose the backend for a device of Apple's that "auto" tries. Throws the errors of choose_backend, without
/// the remedy for users who named the device.
BackendChoice choose_apple_backend(const std::string &device, const std::string &precision);

/// Start the check of an unchecked device in the background, once in this process. Return why the device is
/// not used yet.
std::string begin_check(const Backend &device);

/// Compare a device's results with the CPU engine's, and replace the recorded verdict. The check runs in
/// child processes if the check program exists (device_trust.h), otherwise in this process. Returns the
/// verdict as text for people. Throws DeviceError for a device that does not exist or is not trusted, and
/// ParameterError for "auto", "cpu" and unknown names.
std::string check_device(const std::string &device);

/// Compile a Core ML model package, and return the path of the compiled model in a directory for temporary
/// files. Throws DeviceError with Core ML's text, or where there is no Core ML.
std::string compile_coreml_package(const std::string &package);

/// Run cases of the check (case_check.h), or a user's network (network_check.h), on a device in this process.
/// The check program calls this for the library. Throws the errors of check_device.
void check_cases(const std::string &device, const std::string &request,
                 const std::function<void(const std::string &line)> &report);

/// Choose the Metal backend for a device or queue of the program that embeds mpscnn: an id<MTLDevice> and an
/// id<MTLCommandQueue>, of which one may be null. Throws UnsupportedError where there is no Metal engine,
/// ParameterError for a queue of another device, and DeviceError for a device that cannot run networks or
/// that gave wrong results.
BackendChoice choose_native_backend(void *device, void *queue, const std::string &precision);

} // namespace mpscnn::engine
