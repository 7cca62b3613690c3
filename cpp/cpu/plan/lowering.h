#pragma once

// Turns a canonical graph into this engine's operations, before shapes are known: nodes are fused and weights
// are packed.

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cpu/isa/kernels.h"
#include "cpu/plan/integers.h"
#include "engine/run/backend.h"

namespace mpscnn::cpu {

/// An activation that owns its slopes.
struct OwnedActivation {
    Activation activation;
    AlignedBuffer<float> slopes;
};

/// The value that is broadcast from one pixel to a convolution's first inputs, and the weights and bias for
/// it.
struct BroadcastInput {
    engine::ValueId value;
    std::int64_t channels;
    PackedConvolution packed;
};

/// One or more nodes that one kernel computes.
struct FusedOperation {
    std::vector<std::string> layers; ///< names of the nodes, in order
    ops::Operation operation;        ///< of the first node that is not just a border
    std::vector<engine::ValueId> inputs;
    engine::ValueId result = -1;

    /// Convolutions: the zero padding before it, which enlarges its window.
    std::optional<ops::Padding> border;
    /// Convolutions and dense layers: the other operand of the addition after it.
    std::optional<engine::ValueId> residual;

    /// Pointwise convolutions with a broadcast input. `packed` then has the weights of the other inputs.
    std::optional<BroadcastInput> broadcast;

    /// Pointwise convolutions: the pixel by which the inputs are multiplied first.
    std::optional<engine::ValueId> gate;

    Element element = Element::float32; ///< of the result before a residual is added
    OwnedActivation activation, residual_activation;
    /// To half; with a residual, to bfloat16 before the addition.
    bool rounds = false, residual_rounds = false;
    bool multiplies = false; ///< multiplies weights by inputs, both rounded
    PackedConvolution packed;
    /// Weights by role that are tensors of the graph. A gradient that recomputes a normalization also has the
    /// normalization's weights here.
    std::map<std::string, engine::ValueId> variables;
    /// Weight gradients: the normalization that computes the convolution's input from inputs[0] and the
    /// statistics inputs[2], before the activation.
    std::optional<ops::BatchNormalization> normalization;
    std::vector<ConvolutionPart> parts; ///< for an interleaved convolution
    BinaryWeights binary;
    RecurrentLayer recurrent;             ///< its weights are those of `packed`, and its bias is `shift`
    std::optional<HalfWeights> half_sums; ///< for a convolution or dense layer, instead of `packed`
    std::shared_ptr<const IntegerLayer> integers; ///< in int8 networks, unless the layer is kept in float32
    /// Batch normalization that could not be folded. `shift` is also the value of an interleaved convolution
    /// where no part writes, and the bias after beta scaling.
    AlignedBuffer<float> scale, shift;
    AlignedBuffer<float> constant; ///< second operand of an elementwise operation, in place of inputs[1]
    std::size_t weight_bytes = 0;  ///< total of all weights
};

/// Shared by all plans of a program; immutable.
struct LoweredNetwork {
    engine::Graph graph; ///< without weights
    const KernelTable *kernels = nullptr;
    engine::Precision precision = engine::Precision::float32;
    std::vector<Element> elements;          ///< for each value
    std::vector<FusedOperation> operations; ///< in an order in which they can be computed
    std::size_t weight_bytes = 0;
};

/// Throws WeightsError for a weight that does not fit the precision.
std::shared_ptr<const LoweredNetwork>
lower_network(const engine::Graph &graph, const engine::LowerOptions &options, const KernelTable &kernels);

} // namespace mpscnn::cpu
