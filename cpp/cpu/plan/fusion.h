#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "engine/graph/graph.h"

namespace mpscnn::cpu {

/// The nodes of a graph that one kernel computes together with this node. Indices are those of nodes.
struct NodeFusion {
    bool absorbed = false;               ///< computed by the kernel of another node
    std::optional<std::size_t> border;   ///< the zero padding before this convolution
    std::optional<std::size_t> addition; ///< the addition after this convolution, which its kernel computes
    /// The weight that is the second operand of this elementwise operation.
    std::optional<std::size_t> constant;
    std::optional<std::size_t> joined; ///< the concatenation of two halves before this channel shuffle
    /// The resize that broadcasts one pixel to this convolution's first inputs.
    std::optional<std::size_t> broadcast;
    std::optional<std::size_t> gate; ///< the multiplication of this convolution's inputs by one pixel
    std::optional<std::size_t> mask; ///< the gradient of the activation after this normalization
    /// The batch normalization whose result this weight gradient recomputes from the normalization's source.
    std::optional<std::size_t> normalization;
};

/// Return the operand of a multiplication that is one pixel, if the operation only multiplies all pixels of
/// the other operand by it.
std::optional<std::size_t> gate_operand(const engine::Graph &graph, const engine::Node &product);

/// True if the kernel of a convolution or dense layer, a node, can add another value to its result.
using TakesResidual = std::function<bool(std::size_t node, engine::ValueId other)>;

struct FusionOptions {
    /// Convolutions may read a broadcast 1x1 input, or inputs multiplied by one pixel.
    bool from_pixels = false;
    /// Tensors are floats. Then elementwise operations may read weights, and shuffles may read two tensors.
    bool has_floats = false;
    /// Results are not rounded when they are stored.
    bool rounds_nothing = false;
};
std::vector<NodeFusion> find_fusions(const engine::Graph &graph, const FusionOptions &options,
                                     const TakesResidual &takes_residual);

} // namespace mpscnn::cpu
