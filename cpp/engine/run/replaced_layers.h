#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "engine/backend/backend.h"

namespace mpscnn::engine {

/// Return whether a graph has variables or operations for training.
bool is_in_training(const Graph &graph);

/// The layers that the CPU engine computes in place of the device, because all suitable implementations on
/// the device are refused (engine/backend/implementations.h).
struct ReplacedLayers {
    std::vector<std::size_t> nodes; ///< indices of the replaced nodes in the graph
    bool whole = false;             ///< true: the CPU engine computes the whole network
    std::string reason = {};        ///< names the replaced layers; empty if none is replaced

    bool any() const { return whole || !nodes.empty(); }
};

/// Find the layers of a canonical graph that the CPU engine must compute. Layers are tried one by one, unless
/// the backend refuses no implementation. A network of training moves to the CPU as a whole, because its
/// weights stay on one device. So does a float16 network in which a layer passes float32 numbers to another.
ReplacedLayers find_replaced_layers(const Graph &graph, const Backend &backend, const LowerOptions &options);

} // namespace mpscnn::engine
