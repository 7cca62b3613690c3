#pragma once

// Layers of the Metal engine. A layer is made once for a program, and a step is made from it for each
// combination of input shapes.

#include <concepts>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "metal/device/device.h"
#include "metal/encoding/encoding.h"
#include "metal/layers/choice.h"
#include "ops/op_list.h"

namespace mpscnn::metal {

/// A value and its extents in one pass.
struct Operand {
    engine::ValueId value = -1;
    ImageLayout layout;
    Shape shape; ///< shape of the tensor
};

struct Operands {
    std::vector<Operand> sources;
    Operand destination;

    const Operand &source() const { return sources[0]; }
};

/// A layer with fixed extents. It is immutable. However, MPS kernels get their properties at each encode, so
/// only one thread at a time may encode steps of a program.
class Step {
public:
    virtual ~Step() = default;
    virtual void encode(Encoding &encoding) const = 0;
    /// Return the names of the MPS kernels and shaders that it runs, for display.
    virtual std::string kernel() const = 0;
    /// Return the bytes of the temporary images and arrays that the step holds in addition to its sources and
    /// its result.
    virtual std::size_t scratch_bytes() const { return 0; }
};

class Layer {
public:
    virtual ~Layer() = default;
    virtual std::unique_ptr<Step> bind(Operands operands) const = 0;
    /// Return the largest number of images that a pass may have, so that each image between the layer's
    /// kernels fits into one MPSImage.
    virtual std::int64_t max_images(const Operands &) const {
        return std::numeric_limits<std::int64_t>::max();
    }
};

/// The data from which a layer is made.
struct LayerSource {
    const engine::Graph &graph;
    const engine::Node &node;
    engine::Precision precision;
    engine::Sums sums; ///< sums of MPS's convolutions and dense layers; shaders always sum in float32
    const Choice &choice;

    const std::string &name() const { return node.name; }
};

/// Return the value in whose image this value is stored. Most reshapes only rename an image.
engine::ValueId image_of(const engine::Graph &graph, engine::ValueId value);
/// Return the layout of the image that a fully connected layer reads. In row-major order, it has the same
/// elements as the layer's input.
ImageLayout dense_input(const LayerSource &source);

// Functions that make the layer of each operation on images. Two kinds of operations have none: operations of
// training that run on arrays (metal/arrays), and custom layers, which run between parts of the
// network. No program asks for their layers.

std::unique_ptr<Layer> make_arithmetic_layer(const ops::Arithmetic &operation, ArithmeticKind kind,
                                             const LayerSource &source, Device &device);
template <class Op>
std::unique_ptr<Layer> make_layer(const Op &operation, const LayerSource &source, Device &device) {
    if constexpr (std::derived_from<Op, ops::Arithmetic>)
        return make_arithmetic_layer(operation, Op::kind, source, device);
    else
        fail(ErrorKind::state, {source.name(), ": the Metal engine has no layer for ", Op::info.name});
}

std::unique_ptr<Layer> make_layer(const ops::Argument &operation, const LayerSource &source, Device &device);
std::unique_ptr<Layer> make_layer(const ops::BatchNormalization &operation, const LayerSource &source,
                                  Device &device);
std::unique_ptr<Layer> make_layer(const ops::BatchStatistics &operation, const LayerSource &source,
                                  Device &device);
std::unique_ptr<Layer> make_layer(const ops::BinaryConvolution &operation, const LayerSource &source,
                                  Device &device);
std::unique_ptr<Layer> make_layer(const ops::BinaryFullyConnected &operation, const LayerSource &source,
                                  Device &device);
std::unique_ptr<Layer> make_layer(const ops::Concatenation &operation, const LayerSource &source,
                                  Device &device);
std::unique_ptr<Layer> make_layer(const ops::Convolution &operation, const LayerSource &source,
                                  Device &device);
std::unique_ptr<Layer> make_layer(const ops::CrossChannelNormalization &operation, const LayerSource &source,
                                  Device &device);
std::unique_ptr<Layer> make_layer(const ops::DepthToSpace &operation, const LayerSource &source,
                                  Device &device);
std::unique_ptr<Layer> make_layer(const ops::Dropout &operation, const LayerSource &source, Device &device);
std::unique_ptr<Layer> make_layer(const ops::FullyConnected &operation, const LayerSource &source,
                                  Device &device);
std::unique_ptr<Layer> make_layer(const ops::GroupNormalization &operation, const LayerSource &source,
                                  Device &device);
std::unique_ptr<Layer> make_layer(const ops::Gru &operation, const LayerSource &source, Device &device);
std::unique_ptr<Layer> make_layer(const ops::LocalContrastNormalization &operation, const LayerSource &source,
                                  Device &device);
std::unique_ptr<Layer> make_layer(const ops::LogSoftmax &operation, const LayerSource &source,
                                  Device &device);
std::unique_ptr<Layer> make_layer(const ops::Lstm &operation, const LayerSource &source, Device &device);
std::unique_ptr<Layer> make_layer(const ops::Neuron &operation, const LayerSource &source, Device &device);
std::unique_ptr<Layer> make_layer(const ops::Padding &operation, const LayerSource &source, Device &device);
std::unique_ptr<Layer> make_layer(const ops::Pooling &operation, const LayerSource &source, Device &device);
std::unique_ptr<Layer> make_layer(const ops::Reduction &operation, const LayerSource &source, Device &device);
std::unique_ptr<Layer> make_layer(const ops::Reshape &operation, const LayerSource &source, Device &device);
std::unique_ptr<Layer> make_layer(const ops::Resize &operation, const LayerSource &source, Device &device);
std::unique_ptr<Layer> make_layer(const ops::Slice &operation, const LayerSource &source, Device &device);
std::unique_ptr<Layer> make_layer(const ops::Softmax &operation, const LayerSource &source, Device &device);
std::unique_ptr<Layer> make_layer(const ops::SpatialNormalization &operation, const LayerSource &source,
                                  Device &device);
std::unique_ptr<Layer> make_layer(const ops::SubpixelConvolution &operation, const LayerSource &source,
                                  Device &device);
std::unique_ptr<Layer> make_layer(const ops::TransposedConvolution &operation, const LayerSource &source,
                                  Device &device);
std::unique_ptr<Layer> make_layer(const ops::WeightedReduction &operation, const LayerSource &source,
                                  Device &device);

std::unique_ptr<Layer> make_layer(const ops::ChannelShuffle &operation, const LayerSource &source,
                                  Device &device);
std::unique_ptr<Layer> make_layer(const ops::Constant &operation, const LayerSource &source, Device &device);
std::unique_ptr<Layer> make_layer(const ops::Gather &operation, const LayerSource &source, Device &device);
std::unique_ptr<Layer> make_layer(const ops::LayerNormalization &operation, const LayerSource &source,
                                  Device &device);
std::unique_ptr<Layer> make_layer(const ops::MatrixProduct &operation, const LayerSource &source,
                                  Device &device);
std::unique_ptr<Layer> make_layer(const ops::TakeAlongAxis &operation, const LayerSource &source,
                                  Device &device);
std::unique_ptr<Layer> make_layer(const ops::Tile &operation, const LayerSource &source, Device &device);
std::unique_ptr<Layer> make_layer(const ops::TopK &operation, const LayerSource &source, Device &device);
std::unique_ptr<Layer> make_layer(const ops::Transpose &operation, const LayerSource &source, Device &device);

std::unique_ptr<Layer> make_depthwise(const ops::Convolution &operation, const LayerSource &source,
                                      Device &device);

} // namespace mpscnn::metal
