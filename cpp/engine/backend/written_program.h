#pragma once

#include <chrono>
#include <cmath>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/platform.h"
#include "engine/backend/backend.h"

namespace mpscnn::engine {

/// A network that another framework can load: for Core ML, a compiled model.
struct WrittenProgram {
    std::string path;
    std::vector<std::string> inputs, outputs; ///< the names in the program, in the order of the graph
    std::uint64_t weight_bytes = 0;
};

/// A request to write a graph as a program for another framework.
struct WriteRequest {
    const Graph &graph;
    const std::vector<Shape> &shapes; ///< of the inputs, for one image
    Precision precision;              ///< float32 or float16
    bool again = false;               ///< true: the program of an earlier call cannot be loaded
};

/// Writes a graph, or finds the program that was written for it before. Throws UnsupportedError that names
/// what the framework lacks, or that says what the writer itself needs.
using ProgramWriter = std::function<WrittenProgram(const WriteRequest &request)>;

/// The environment variable of coreml_limit().
inline constexpr const char *coreml_variable = "MPSCNN_COREML_SECONDS";

/// Return the longest time in which Core ML may compile, load or first run a network: the compiler of the
/// neural engine may need minutes. Throws ParameterError if the environment states a wrong limit.
inline std::chrono::nanoseconds coreml_limit() {
    constexpr double usual = 300;
    return std::chrono::nanoseconds(
        std::llround(platform::seconds_of_environment(coreml_variable, usual) * 1e9));
}

} // namespace mpscnn::engine
