#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "engine/run/backend.h"

namespace mpscnn::engine {

/// The layers that the CPU engine computes, because the device has no right implementation of them
/// (engine/run/implementations.h).
struct ReplacedLayers {
    std::vector<std::size_t> nodes; ///< of the graph; the others stay on the device
    bool whole = false;             ///< the CPU engine computes the whole network
    std::string reason = {};        ///< with the names of the layers; empty if none is replaced

    bool any() const { return whole || !nodes.empty(); }
};

/// Find these layers of a canonical graph that the backend supports. Layers are tried one by one, unless the
/// backend refuses no implementation. A network of training moves as a whole, because its weights stay on one
/// device. So does a float16 network in which a layer passes float32 numbers to another.
ReplacedLayers find_replaced_layers(const Graph &graph, const Backend &backend, const LowerOptions &options);

} // namespace mpscnn::engine
