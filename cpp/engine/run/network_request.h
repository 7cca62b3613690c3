#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/json.h"
#include "engine/backend/written_program.h"
#include "engine/graph/graph.h"
#include "engine/run/program.h"

namespace mpscnn::engine {

/// A request that a check program runs a network on a device and on the CPU engine.
struct NetworkRequest {
    std::string file; ///< a model file, which the check program deletes
    CompileOptions options;
    std::vector<std::string> refused;      ///< implementations of the device that are not used
    std::optional<WrittenProgram> program; ///< for a device that runs programs of another framework
    bool cold = false;                     ///< true: one run of each engine is timed, without warming up

    /// Return the text of the request, in one line.
    std::string text() const;
    /// Return the graph of the file, which only this process reads, and delete the file.
    Graph take_graph() const;
    /// Throws ParameterError if there is no such precision.
    Precision precision() const;
    /// Return nothing for a text that is a request for something else.
    static std::optional<NetworkRequest> parse(const std::string &text);
};

/// Read a written program from JSON with its four fields.
WrittenProgram program_of(const JsonView &view);

/// Return the input shapes for a run with one image. Free extents become the first of some usual sizes that
/// the network takes. Return nothing if it takes none of them.
std::optional<std::vector<Shape>> shapes_for_preflight(const Graph &graph);

} // namespace mpscnn::engine
