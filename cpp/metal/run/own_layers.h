#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/backend/backend.h"
#include "engine/graph/graph.h"
#include "metal/arrays/array_program.h"
#include "metal/device/device.h"

namespace mpscnn::metal {

/// A constant weight in GPU memory.
struct ConstantArray {
    std::string role;
    ArrayOperand operand;
    objc_ptr<id<MTLBuffer>> buffer;
};

/// A convolution with constant weights that one of the library's own kernels computes. The kernel may
/// include a sum that follows, if only this sum reads the convolution's result. The kernel of a pointwise
/// convolution may include the depthwise convolution before it, if nothing else reads the result of the
/// depthwise convolution.
struct OwnLayer {
    std::size_t convolution = 0;          ///< number of the convolution's node
    engine::ValueId addend = -1;          ///< the other operand of the sum; -1: there is no sum
    std::optional<std::size_t> depthwise; ///< number of the depthwise convolution's node
    std::vector<ConstantArray> weights;
};

/// Return, for each node, the own layer that computes the node's result. `halves` is true for each value
/// whose array holds halves. A convolution that is included in the layer of another node has none, and
/// its entry in `merged` is true. Throws WeightsError for a weight that does not fit the precision.
std::vector<std::optional<OwnLayer>>
own_layers(const engine::Graph &graph, engine::Precision precision, const std::vector<bool> &halves,
           const Device &device, const std::shared_ptr<const engine::Implementations> &implementations,
           std::vector<bool> &merged);

} // namespace mpscnn::metal
