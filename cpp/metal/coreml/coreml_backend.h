#pragma once

#include <memory>
#include <string>

#include "engine/backend/backend.h"
#include "engine/backend/written_program.h"

namespace mpscnn::coreml {

/// Make the backend of Core ML. `units` is empty or a name of compute units: "all", "cpuAndNeuralEngine",
/// "cpuAndGPU" or "cpuOnly". Throws DeviceError if this system has no Core ML programs, and ParameterError
/// for another name.
std::shared_ptr<const engine::Backend> make_coreml_backend(const std::string &units,
                                                           engine::ProgramWriter writer);

engine::DeviceDescription describe_device();

/// Compile a model package, and return the path of the compiled model in a directory for temporary files.
/// Throws DeviceError with Core ML's text.
std::string compile(const std::string &package);

} // namespace mpscnn::coreml
