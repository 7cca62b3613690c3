#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "metal/arrays/array_program.h"
#include "metal/gradients/convolution_gradient.h"
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

/// A network on arrays: one that is trained, or reads weights that are variables. Shared by all plans of a
/// program; immutable once made, but for what `encoding` guards.
struct ArrayNetwork {
    std::shared_ptr<Device> device; ///< before the layers, which refer to it
    engine::Graph graph;            ///< without weights
    std::vector<bool> halves;       ///< by value: whether its array holds halves, else floats
    /// By node: those that run on images, nothing for those that are kernels on arrays or rename an array.
    std::vector<std::optional<LoweredLayer>> layers;
    std::size_t weight_bytes = 0;
    mutable ConvolutionGradientCache convolution_gradients;
    /// Held while steps are encoded: MPS kernels belong to one thread at a time.
    mutable std::mutex encoding;
};

/// Whether a graph runs on arrays. Others run on images (lowering.h).
bool runs_on_arrays(const engine::Graph &graph);

/// Whether the first axis of a value is a batch; weights and statistics have none.
bool counts_images(const engine::Graph &graph, engine::ValueId value);

/// The value whose array holds another value too: reshapes only rename it.
engine::ValueId array_of(const engine::Graph &graph, engine::ValueId value);

/// The kernels of an operation, which lower_arrays() has not made a layer of.
ArrayProgram array_program(const ops::Operation &operation, const ArrayOperands &operands);

/// Throws as lower_network().
std::shared_ptr<const ArrayNetwork> lower_arrays(const engine::Graph &graph, engine::Precision precision,
                                                 std::shared_ptr<Device> device);

} // namespace mpscnn::metal
