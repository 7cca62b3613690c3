#pragma once

#include <functional>
#include <memory>
#include <string>

#include "engine/run/network_request.h"

namespace mpscnn::engine {

/// Run a network on both backends in this process, which is the check program's. Compare the results and
/// measure the times. `report_line` gets the lines of the report (check_process.h), and must write each one
/// immediately.
void run_requested_network(const std::shared_ptr<const Backend> &subject,
                           const std::shared_ptr<const Backend> &reference, const NetworkRequest &request,
                           const std::function<void(const std::string &line)> &report_line);

} // namespace mpscnn::engine
