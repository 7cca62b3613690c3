#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "engine/run/backend.h"

namespace mpscnn::engine {

/// What the CPU engine computes in a device's place, since no implementation of the device's is right there
/// (engine/run/implementations.h).
struct ReplacedLayers {
    std::vector<std::size_t> nodes; ///< of the graph; the others stay on the device
    bool whole = false;             ///< the network as a whole is for the CPU engine
    std::string reason = {}; ///< for people, with the names of the layers; empty where none is replaced

    bool any() const { return whole || !nodes.empty(); }
};

/// Finds them for a canonical graph that the backend supports. Layers are tried one by one; nothing is done
/// where the backend refuses no implementation. A network of training is moved as a whole: its weights stay
/// on one device. So is a float16 network in which a layer hands on float32 numbers.
ReplacedLayers find_replaced_layers(const Graph &graph, const Backend &backend, const LowerOptions &options);

} // namespace mpscnn::engine
