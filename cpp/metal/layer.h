#pragma once

// A layer as this engine runs it: made once for a program, bound once for each combination of input shapes.

#include <memory>
#include <string>
#include <vector>

#include "metal/device.h"
#include "metal/encoding.h"
#include "ops/op_list.h"

namespace mpscnn::metal {

/// A value with its extents in one pass.
struct Operand {
    engine::ValueId value = -1;
    ImageLayout layout;
};

struct Operands {
    std::vector<Operand> sources;
    Operand destination;

    const Operand &source() const { return sources[0]; }
};

/// A layer with fixed extents. Immutable; but MPS kernels take their properties at each encode, so only one
/// thread at a time may encode steps of a program.
class Step {
public:
    virtual ~Step() = default;
    virtual void encode(Encoding &encoding) const = 0;
};

class Layer {
public:
    virtual ~Layer() = default;
    virtual std::unique_ptr<Step> bind(Operands operands) const = 0;
};

/// All that a layer is made from.
struct LayerSource {
    const engine::Graph &graph;
    const engine::Node &node;
    engine::Precision precision;

    const std::string &name() const { return node.name; }
};

// For each operation that ops/refusals.h does not list as missing the layer. A reshape makes none: readers of
// its result read the image of the value that it reshapes.

std::unique_ptr<Layer> make_layer(const ops::Convolution &operation, const LayerSource &source,
                                  Device &device);

std::unique_ptr<Layer> make_depthwise(const ops::Convolution &operation, const LayerSource &source,
                                      Device &device);

std::unique_ptr<Layer> make_layer(const ops::FullyConnected &operation, const LayerSource &source,
                                  Device &device);

std::unique_ptr<Layer> make_layer(const ops::Pooling &operation, const LayerSource &source, Device &device);

std::unique_ptr<Layer> make_layer(const ops::Addition &operation, const LayerSource &source, Device &device);

std::unique_ptr<Layer> make_layer(const ops::Neuron &operation, const LayerSource &source, Device &device);

std::unique_ptr<Layer> make_layer(const ops::Softmax &operation, const LayerSource &source, Device &device);

std::unique_ptr<Layer> make_layer(const ops::Concatenation &operation, const LayerSource &source,
                                  Device &device);

} // namespace mpscnn::metal
