#pragma once

// Turns a graph into this engine's operations: nodes are fused and weights are packed. This happens
// once, before the shapes of inputs are known.

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cpu/isa/kernels.h"
#include "cpu/plan/integer_layer.h"
#include "engine/backend/backend.h"

namespace mpscnn::cpu {

/// An activation together with the memory of its slopes.
struct OwnedActivation {
    Activation activation;
    AlignedBuffer<float> slopes;
};

/// A pixel that is broadcast to the first inputs of a pointwise convolution, and the convolution's weights
/// and bias for these inputs.
struct BroadcastInput {
    engine::ValueId value;
    std::int64_t channels;
    PackedConvolution packed;
};

/// One or more nodes that one kernel computes.
struct FusedOperation {
    std::vector<std::string> layers; ///< names of the nodes, in order
    ops::Operation operation;        ///< operation of the node into which the others are fused
    std::vector<engine::ValueId> inputs;
    engine::ValueId result = -1;

    /// For a convolution: the zero padding before the convolution, which becomes part of its window.
    std::optional<ops::Padding> border;
    /// For a convolution or dense layer: the other operand of the addition after the layer.
    std::optional<engine::ValueId> residual;

    /// For a pointwise convolution with a broadcast input. `packed` then has only the weights of the other
    /// inputs.
    std::optional<BroadcastInput> broadcast;

    /// For a pointwise convolution with a gate: the pixel by which all pixels of the input are multiplied
    /// first.
    std::optional<engine::ValueId> gate;

    Element element = Element::float32; ///< element type of the result before a residual is added
    OwnedActivation activation, residual_activation;
    /// True if the layer's result (`rounds`) and the sum with a residual (`residual_rounds`) are rounded to
    /// half. In bfloat16 networks, `rounds` rounds the result to bfloat16 before a residual is added.
    bool rounds = false, residual_rounds = false;
    /// True for a convolution or dense layer with constant weights. In bfloat16 networks its weights and
    /// inputs are both rounded.
    bool multiplies = false;
    /// For a convolution's weight gradient: the type to which its factors are rounded, and whether Winograd's
    /// algorithm may compute it.
    Element operands = Element::float32;
    bool may_use_winograd = false;
    PackedConvolution packed;
    /// The weights by role that are tensors of the graph. If a gradient recomputes a normalization, the
    /// normalization's weights are also here.
    std::map<std::string, engine::ValueId> variables;
    /// Only for weight gradients that recompute the convolution's input: the batch normalization that
    /// computes this input from inputs[0] and the statistics inputs[2]. `activation` comes after it.
    std::optional<ops::BatchNormalization> normalization;
    std::vector<ConvolutionPart> parts; ///< for an interleaved convolution
    BinaryWeights binary;
    RecurrentLayer recurrent; ///< its weights are in `packed`, and its bias is in `shift`
    /// The weights of a convolution or dense layer that sums in float16, in place of `packed`.
    std::optional<HalfWeights> half_sums;
    std::shared_ptr<const IntegerLayer> integers; ///< in int8 networks, unless the layer is kept in float32
    /// The scale and shift of a batch normalization that could not be folded into a convolution, or gamma and
    /// beta of another normalization. `shift` also holds the value that an interleaved convolution writes
    /// where it has no part, the bias that is added after beta scaling, the bias of a recurrent layer, or the
    /// constants of a border.
    AlignedBuffer<float> scale, shift;
    AlignedBuffer<float> constant; ///< second operand of an elementwise operation, in place of inputs[1]
    std::size_t weight_bytes = 0;  ///< bytes of all weights
};

/// A network whose weights are packed. It is immutable, and all plans of a program share it.
struct LoweredNetwork {
    engine::Graph graph; ///< without weights
    const KernelTable *kernels = nullptr;
    engine::Precision precision = engine::Precision::float32;
    std::vector<Element> elements;          ///< for each value
    std::vector<FusedOperation> operations; ///< in an order in which they can be computed
    std::size_t weight_bytes = 0;
};

/// Turn a graph into fused operations with packed weights. Throws WeightsError for a weight that does not fit
/// the precision.
std::shared_ptr<const LoweredNetwork>
lower_network(const engine::Graph &graph, const engine::LowerOptions &options, const KernelTable &kernels);

} // namespace mpscnn::cpu
