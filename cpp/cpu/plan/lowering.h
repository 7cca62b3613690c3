#pragma once

// From a canonical graph to the kernel calls of this engine, before shapes are known: nodes are fused and
// weights packed.

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cpu/isa/kernels.h"
#include "cpu/plan/integers.h"
#include "engine/run/backend.h"

namespace mpscnn::cpu {

/// An activation with the memory that it points to.
struct OwnedActivation {
    Activation activation;
    AlignedBuffer<float> slopes;
};

/// A pixel that all pixels of a convolution's first inputs are copies of, and the weights and bias for it.
struct BroadcastInput {
    engine::ValueId value;
    std::int64_t channels;
    PackedConvolution packed;
};

/// One or more nodes that one kernel computes.
struct FusedOperation {
    std::vector<std::string> layers; ///< names of the nodes, in order
    ops::Operation operation;        ///< the first of them that is more than a border
    std::vector<engine::ValueId> inputs;
    engine::ValueId result = -1;

    /// Convolutions: the zero padding before it, which widens its window.
    std::optional<ops::Padding> border;
    /// Convolutions and dense layers: the other operand of the addition after it.
    std::optional<engine::ValueId> residual;

    /// Pointwise convolutions, whose own weights then are for the other inputs.
    std::optional<BroadcastInput> broadcast;

    /// Pointwise convolutions: the pixel by which the inputs are multiplied first.
    std::optional<engine::ValueId> gate;

    Element element = Element::float32; ///< of the result, without the residual
    OwnedActivation activation, residual_activation;
    bool rounds = false, residual_rounds = false; ///< to half, or to bfloat16 before a residual is added
    bool multiplies = false;                      ///< weights by inputs, both rounded
    PackedConvolution packed;
    /// Weights by role that are tensors of the graph. A gradient that computes a normalization again has the
    /// normalization's.
    std::map<std::string, engine::ValueId> variables;
    /// Gradients of weights: what makes the convolution's input of inputs[0] by the statistics inputs[2],
    /// before the activation.
    std::optional<ops::BatchNormalization> normalization;
    std::vector<ConvolutionPart> parts; ///< of an interleaved convolution
    BinaryWeights binary;
    std::optional<HalfWeights> half_sums;         ///< of a convolution or dense layer, in place of `packed`
    std::shared_ptr<const IntegerLayer> integers; ///< in int8 networks, unless kept in float32
    /// Batch normalization that could not be folded. `shift` is also what an interleaved convolution has
    /// where no part writes, and the bias behind beta scaling.
    AlignedBuffer<float> scale, shift;
    AlignedBuffer<float> constant; ///< second operand of an elementwise operation, in place of inputs[1]
    std::size_t weight_bytes = 0;  ///< of all of them
};

/// Shared by all plans of a program; immutable once made.
struct LoweredNetwork {
    engine::Graph graph; ///< without weights
    const KernelTable *kernels = nullptr;
    engine::Precision precision = engine::Precision::float32;
    std::vector<Element> elements;          ///< of each value
    std::vector<FusedOperation> operations; ///< in an order in which they can be computed
    std::size_t weight_bytes = 0;
};

/// Throws WeightsError for a weight that does not fit the precision.
std::shared_ptr<const LoweredNetwork>
lower_network(const engine::Graph &graph, const engine::LowerOptions &options, const KernelTable &kernels);

} // namespace mpscnn::cpu
