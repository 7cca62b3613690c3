#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

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

} // namespace mpscnn::engine
