#pragma once

#include <string>
#include <vector>

#include "engine/backend/backend.h"

namespace mpscnn::engine {

/// Throws UnsupportedError for the first value or layer of a canonical graph that the engine does not
/// support, by the table of ops/unsupported.h. `shapes` has the shapes of all values; extents may be
/// free (Shape::any).
void require_supported(const Graph &graph, const std::vector<Shape> &shapes, const std::string &engine,
                       Precision precision);

/// The options of a program that engines may not support.
struct ProgramChoices {
    Precision precision = Precision::float32;
    bool winograd = true;      ///< LowerOptions::winograd
    bool byte_weights = false; ///< true: weights in 8-bit integers (byte_weights.h)
    Sums sums = Sums::float32;
};

/// Throws UnsupportedError if the backend does not support programs with these options.
void require_supported(const Backend &backend, const ProgramChoices &choices, const std::string &network);

/// Throws UnsupportedError if the engine does not support these options of a session of the program
/// `network`.
void require_supported(const SessionOptions &options, const std::string &network, const std::string &engine);

/// True if the backend's runs occupy threads of the processor. Then more parallel runs than cores are
/// useless.
bool uses_processor(const Backend &backend);

} // namespace mpscnn::engine
