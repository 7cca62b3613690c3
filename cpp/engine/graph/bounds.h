#pragma once

#include <limits>
#include <vector>

#include "engine/graph/graph.h"

namespace mpscnn::engine {

/// Limits of all numbers that a value can have, whatever the network's inputs and weights are. NaN is left
/// out.
struct Bounds {
    double lower = -std::numeric_limits<double>::infinity();
    double upper = std::numeric_limits<double>::infinity();
};

/// True if the results of an operation are elements of its inputs, or means of them.
bool keeps_bounds(const ops::Operation &operation);

/// Return the bounds of all values of a graph. They follow from the functions between the last layers with
/// weights and a value. They are infinite where an operation may give any number, or is not looked at.
std::vector<Bounds> bounds_of(const Graph &graph);

} // namespace mpscnn::engine
