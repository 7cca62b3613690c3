#pragma once

#include <memory>

#include "engine/run/backend.h"

namespace mpscnn::engine {

/// Whether functions of the program compute some of the layers (ops/custom.h).
bool has_custom_layers(const Graph &graph);

/// Lowers such a graph, which is canonical: what lies between those layers is lowered by the backend, which
/// sees none of them, and handed over as float32 in main memory.
std::unique_ptr<LoweredGraph> lower_in_stages(const Graph &graph, const Backend &backend,
                                              const LowerOptions &options);

} // namespace mpscnn::engine
