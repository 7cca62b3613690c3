#pragma once

#include <memory>

#include "engine/run/backend.h"

namespace mpscnn::engine {

/// True if functions of the program compute some of the layers (ops/custom.h).
bool has_custom_layers(const Graph &graph);

/// Lower a canonical graph with custom layers. The backend lowers the subgraphs between those layers and does
/// not see the layers themselves. Values pass between them as float32 in main memory.
std::unique_ptr<LoweredGraph> lower_in_stages(const Graph &graph, const Backend &backend,
                                              const LowerOptions &options);

} // namespace mpscnn::engine
