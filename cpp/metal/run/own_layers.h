#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/graph/graph.h"
#include "engine/run/backend.h"
#include "metal/arrays/array_program.h"
#include "metal/device/device.h"

namespace mpscnn::metal {

/// A constant weight in GPU memory.
struct ConstantArray {
    std::string role;
    ArrayOperand operand;
    objc_ptr<id<MTLBuffer>> buffer;
};

/// A convolution with constant weights that an own kernel computes, together with a sum that alone reads its
/// result.
struct OwnLayer {
    std::size_t convolution = 0; ///< number of its node
    engine::ValueId addend = -1; ///< the other operand of the sum; -1: there is no sum
    std::vector<ConstantArray> weights;
};

/// Return, for each node, the own layer whose result is that of the node. A convolution that is part of a sum
/// has none, and is in `merged`. Throws WeightsError for a weight that does not fit the precision.
std::vector<std::optional<OwnLayer>>
own_layers(const engine::Graph &graph, engine::Precision precision, const Device &device,
           const std::shared_ptr<const engine::Implementations> &implementations, std::vector<bool> &merged);

} // namespace mpscnn::metal
