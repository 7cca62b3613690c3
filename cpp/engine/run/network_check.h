#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "engine/run/network_request.h"

namespace mpscnn::engine {

/// Return the longest time in which Core ML may compile, load and first run a network. Throws ParameterError
/// if the environment states a wrong limit.
std::chrono::nanoseconds coreml_limit();

/// Run a network on both backends in this process, which is the check program's. Compare the results and
/// measure the times. `report_line` gets the lines of the report (check_process.h), and must write each one
/// immediately.
void run_requested_network(const std::shared_ptr<const Backend> &subject,
                           const std::shared_ptr<const Backend> &reference, const NetworkRequest &request,
                           const std::function<void(const std::string &line)> &report_line);

} // namespace mpscnn::engine
