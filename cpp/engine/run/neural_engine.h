#pragma once

#include "engine/run/backends.h"
#include "engine/run/program.h"

namespace mpscnn::engine {

/// Return the choice for a network for which CompileOptions::neural_engine is true: Core ML on the neural
/// engine, if a preflight (preflight.h) found its results right and faster than those of the device that was
/// chosen before; otherwise the same choice, with the reason. A device that was named stays. The process that
/// calls this writes and compiles the Core ML program, but does not run it. Throws ParameterError for another
/// precision than float16.
BackendChoice or_neural_engine(BackendChoice before, const Graph &graph, const CompileOptions &options);

} // namespace mpscnn::engine
