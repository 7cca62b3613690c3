#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "metal/arrays/array_program.h"
#include "metal/gradients/convolution_gradient.h"
#include "metal/layers/layer.h"
#include "metal/run/own_layers.h"

namespace mpscnn::metal {

struct LoweredLayer {
    std::string name;
    std::vector<engine::ValueId> inputs;  ///< the node's inputs, with their shapes
    std::vector<engine::ValueId> sources; ///< the values whose images hold these inputs
    engine::ValueId result = -1;
    std::unique_ptr<const Layer> layer;
    std::size_t weight_bytes = 0;
};

/// A lowered network whose values are stored as MPS images. All plans of a program share it. It is
/// immutable, except for the state that `encoding` guards.
struct LoweredNetwork {
    std::shared_ptr<Device> device; ///< destroyed after the layers, which use it
    std::shared_ptr<const engine::Implementations> implementations;
    engine::Graph graph;                       ///< without weights
    std::vector<engine::Precision> precisions; ///< the precision of each value's image
    std::vector<LoweredLayer> layers;          ///< in an order in which they can be computed
    std::size_t weight_bytes = 0;
    /// Locked while steps are encoded, because only one thread at a time may use MPS kernels.
    mutable std::mutex encoding;
};

/// Return the layer of one node, with this precision of its images. Throws the errors of lower_network().
LoweredLayer lower_node(const engine::Graph &graph, std::size_t index, engine::Precision precision,
                        engine::Sums sums, const Choice &choice, Device &device);

/// Make the layers of a network. Throws WeightsError for a weight that does not fit the precision,
/// DeviceError when the device fails, and UnsupportedError for a layer if all of its implementations are
/// refused.
std::shared_ptr<const LoweredNetwork>
lower_network(const engine::Graph &graph, const engine::LowerOptions &options, std::shared_ptr<Device> device,
              std::shared_ptr<const engine::Implementations> implementations);

/// A network on arrays: one that is trained, one whose weights are variables, or one with the library's own
/// kernels. All plans of a program share it. It is immutable, except for the state that `encoding` guards.
struct ArrayNetwork {
    std::shared_ptr<Device> device; ///< destroyed after the layers, which use it
    std::shared_ptr<const engine::Implementations> implementations;
    engine::Graph graph;      ///< without weights
    std::vector<bool> halves; ///< true for each value whose array holds halves; other arrays hold floats
    /// Has the layer of each node that runs on images. The entry is empty for a node that has kernels on
    /// arrays or only renames an array.
    std::vector<std::optional<LoweredLayer>> layers;
    /// Has the layer of each node that one of the library's own kernels computes. All entries are empty
    /// unless the program asks for own kernels.
    std::vector<std::optional<OwnLayer>> own;
    std::vector<bool> merged; ///< true for each node that the own layer of another node includes
    Choice::Scope scope = Choice::Scope::arrays; ///< the scope of the layers on images
    std::size_t weight_bytes = 0;
    mutable ConvolutionGradientCache convolution_gradients;
    /// Locked while steps are encoded, because only one thread at a time may use MPS kernels.
    mutable std::mutex encoding;
};

/// True if a graph reads variables or is trained, so it runs on arrays.
bool needs_arrays(const engine::Graph &graph);

/// True if the first axis of a value is a batch; weights and statistics have none.
bool counts_images(const engine::Graph &graph, engine::ValueId value);

/// Return the value in whose array this value is stored. Reshapes only rename an array.
engine::ValueId array_of(const engine::Graph &graph, engine::ValueId value);

/// Return the kernels of an operation for which lower_arrays() has not made a layer.
ArrayProgram array_program(const ops::Operation &operation, const ArrayOperands &operands,
                           const Device &device, const Choice &choice);

/// Prepare a network on arrays. Throws the errors of lower_network().
std::shared_ptr<const ArrayNetwork>
lower_arrays(const engine::Graph &graph, const engine::LowerOptions &options, std::shared_ptr<Device> device,
             std::shared_ptr<const engine::Implementations> implementations);

} // namespace mpscnn::metal
