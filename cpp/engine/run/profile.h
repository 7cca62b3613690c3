#pragma once

// The time of every step of a program, as a readable table.

#include <string>
#include <vector>

#include "core/json.h"
#include "engine/backend/execution_profile.h"
#include "engine/graph/graph.h"
#include "engine/run/program.h"

namespace mpscnn::engine {

/// A backend's measurements of a program's steps, together with the layers and floating-point operations of
/// each step.
struct Profile {
    struct Step {
        /// Layers of the original network that this step completes, including layers that were folded into
        /// others.
        std::vector<std::string> layers;
        std::vector<std::string> part_of; ///< layers that this step begins and a later step completes
        std::int64_t flops = 0;           ///< FLOPs of `layers`
    };

    std::string network, device, device_name, precision;
    std::vector<Shape> input_shapes;
    ExecutionProfile execution;
    std::vector<Step> steps;                      ///< one for each of execution.steps
    std::vector<std::string> layers_without_step; ///< layers without computation, which are views of memory
};

/// Combine `execution`, the measurements of a plan for these input shapes, with the program's layers.
Profile make_profile(const Program &program, const std::vector<Shape> &input_shapes,
                     ExecutionProfile execution);

/// Return the whole profile, with times in milliseconds for each run; see mpscnn_session_profile.
Json to_json(const Profile &profile);
/// Return the fastest run in Chrome's trace event format: one row for steps, and one for each thread.
Json chrome_trace(const Profile &profile);

} // namespace mpscnn::engine
