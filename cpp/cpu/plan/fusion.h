#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "engine/graph/graph.h"

namespace mpscnn::cpu {

/// Which nodes of a graph one kernel computes together. Indices are those of nodes.
struct NodeFusion {
    bool absorbed = false;                ///< computed by the kernel of another node
    std::optional<std::size_t> border;    ///< this convolution's zero padding
    std::optional<std::size_t> addition;  ///< added by this convolution before it stores
    std::optional<std::size_t> constant;  ///< whose weight this elementwise operation's second operand is
    std::optional<std::size_t> joined;    ///< the concatenation of two halves that this channel shuffle reads
    std::optional<std::size_t> broadcast; ///< the resize that makes its first inputs, all alike, of one pixel
    std::optional<std::size_t> gate;      ///< the multiplication of its inputs by a pixel
    std::optional<std::size_t> mask;      ///< the gradient of the activation after this normalization
    /// The batch normalization whose result this weight gradient computes again of what that reads.
    std::optional<std::size_t> normalization;
};

/// Which operand of a multiplication is one pixel, by which it multiplies all pixels of the other and does
/// nothing else.
std::optional<std::size_t> gate_operand(const engine::Graph &graph, const engine::Node &product);

/// Whether the kernel of a convolution or dense layer, a node, can add another value to its result.
using TakesResidual = std::function<bool(std::size_t node, engine::ValueId other)>;

struct FusionOptions {
    /// Convolutions may read the one pixel that a resize enlarges or that their inputs are multiplied by.
    bool from_pixels = false;
    /// Tensors are floats: elementwise operations may read weights, shuffles two tensors.
    bool has_floats = false;
    /// No result is rounded when it is stored.
    bool rounds_nothing = false;
};
std::vector<NodeFusion> find_fusions(const engine::Graph &graph, const FusionOptions &options,
                                     const TakesResidual &takes_residual);

} // namespace mpscnn::cpu
