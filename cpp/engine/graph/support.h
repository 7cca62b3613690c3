#pragma once

#include <string>
#include <vector>

#include "engine/run/backend.h"

namespace mpscnn::engine {

/// Throws UnsupportedError for the first value or layer of a canonical graph that the table of unsupported
/// features (ops/unsupported.h) contains for the engine. `shapes` are those of all values; extents may be
/// free.
void require_supported(const Graph &graph, const std::vector<Shape> &shapes, const std::string &engine,
                       Precision precision);

/// The same for a program of the network in a precision, with LowerOptions::winograd.
void require_supported(const Backend &backend, Precision precision, bool winograd,
                       const std::string &network);

/// The same for a session of the program `network`.
void require_supported(const SessionOptions &options, const std::string &network, const std::string &engine);

/// True if the backend's runs occupy threads of the processor. Then more parallel runs than cores are
/// useless.
bool uses_processor(const Backend &backend);

} // namespace mpscnn::engine
