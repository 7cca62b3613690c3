#pragma once

#include "engine/backend/backend.h"
#include "engine/graph/graph.h"

namespace mpscnn::engine {

/// Keep in float32 all layers that compute positions beyond 2048 for take_along_axis. Such positions are
/// exact in float16 networks then. float16 has all whole numbers up to 2048 only, and a rounded position
/// selects another element.
void keep_positions(Graph &graph);

/// Call `keep_positions` if the precision is float16. Throws UnsupportedError if the precision rounds whole
/// numbers by which the graph selects elements, and `keep_positions` cannot help: in float16, positions
/// beyond 2048 that are an input or a constant; in float16 and bfloat16, constants with which a layer `equal`
/// compares its input.
void keep_exact_numbers(Graph &graph, Precision precision);

} // namespace mpscnn::engine
