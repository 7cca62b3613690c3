#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "engine/graph/graph.h"

namespace mpscnn::cpu {

/// The other nodes of a graph that one kernel computes together with a node. The numbers are indices of
/// nodes.
struct NodeFusion {
    bool absorbed = false;             ///< computed by the kernel of another node
    std::optional<std::size_t> border; ///< the zero padding before this convolution
    /// The addition after this convolution or dense layer, which its kernel computes.
    std::optional<std::size_t> addition;
    /// The constant that is the second operand of this elementwise operation.
    std::optional<std::size_t> constant;
    /// The concatenation of two tensors whose channels this shuffle interleaves.
    std::optional<std::size_t> joined;
    /// For a convolution whose first inputs are the same for all pixels: the resize that broadcasts them from
    /// one pixel.
    std::optional<std::size_t> broadcast;
    /// The multiplication of this convolution's inputs by one pixel (squeeze and excitation).
    std::optional<std::size_t> gate;
    /// For a gradient of a batch normalization: the gradient of the activation after that normalization.
    std::optional<std::size_t> mask;
    /// For a weight gradient: the batch normalization that computed the convolution's input. The kernel
    /// recomputes this input instead of reading it.
    std::optional<std::size_t> normalization;
};

/// Return the index of a multiplication's operand that is a single pixel, if the operation multiplies all
/// pixels of the other operand by it.
std::optional<std::size_t> gate_operand(const engine::Graph &graph, const engine::Node &product);

/// True if the kernel of `node`, a convolution or dense layer, can add the value `other` to its result.
using TakesResidual = std::function<bool(std::size_t node, engine::ValueId other)>;

struct FusionOptions {
    /// True: convolutions may read a broadcast 1x1 input, or inputs multiplied by one pixel.
    bool from_pixels = false;
    /// True: tensors are float32. Then elementwise operations may read constants directly, and channel
    /// shuffles may read two tensors.
    bool has_floats = false;
    /// True: results are not rounded when they are stored.
    bool rounds_nothing = false;
};
std::vector<NodeFusion> find_fusions(const engine::Graph &graph, const FusionOptions &options,
                                     const TakesResidual &takes_residual);

} // namespace mpscnn::cpu
