#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "metal/layers/layer.h"

namespace mpscnn::metal {

struct LoweredLayer {
    std::string name;
    std::vector<engine::ValueId> inputs;  ///< the node's, whose shapes count
    std::vector<engine::ValueId> sources; ///< the values whose images hold these
    engine::ValueId result = -1;
    std::unique_ptr<const Layer> layer;
    std::size_t weight_bytes = 0;
};

/// Shared by all plans of a program; immutable once made, but for what `encoding` guards.
struct LoweredNetwork {
    std::shared_ptr<Device> device;            ///< before the layers, which refer to it
    engine::Graph graph;                       ///< without weights
    std::vector<engine::Precision> precisions; ///< of the values' images
    std::vector<LoweredLayer> layers;          ///< in an order in which they can be computed
    std::size_t weight_bytes = 0;
    /// Held while steps are encoded: MPS kernels belong to one thread at a time.
    mutable std::mutex encoding;
};

/// One node with the precision of its images. Throws as lower_network().
LoweredLayer lower_node(const engine::Graph &graph, std::size_t index, engine::Precision precision,
                        engine::Sums sums, Device &device);

/// Throws WeightsError for a weight that does not fit the precision, DeviceError when the device fails.
std::shared_ptr<const LoweredNetwork> lower_network(const engine::Graph &graph,
                                                    const engine::LowerOptions &options,
                                                    std::shared_ptr<Device> device);

} // namespace mpscnn::metal
