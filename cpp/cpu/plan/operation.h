#pragma once

// The CPU engine's implementation of each operation of ops/op_list.h; the definitions are in
// cpu/plan/operations. `lower` prepares an operation's weights and parameters; operations without weights and
// parameters need no `lower`. `make_step` then adds the steps of the operation to a plan.

#include <concepts>
#include <span>

#include "cpu/plan/lowering.h"
#include "cpu/plan/step_builder.h"
#include "cpu/plan/weight_slices.h"

namespace mpscnn::cpu {

/// Memory that the lowering of all nodes of a network shares.
struct LoweringMemory {
    WeightMemory &packed; ///< shared by all threads
    WeightSlices &slices; ///< shared by all threads
    PackingMemory &own;   ///< of this thread
};

/// Converts an operation's weights and parameters to the form that its kernel reads.
struct OperationLowering {
    const engine::Graph &graph;
    const engine::Node &node;
    engine::Precision precision;
    const KernelTable &kernels;
    FusedOperation &fused; ///< to be filled in
    const Shape &result;   ///< shape of the node's result; extents are free if the network accepts any size
    LoweringMemory memory;
    bool sums_in_halves; ///< for convolutions and dense layers
    bool winograd;       ///< engine::LowerOptions::winograd

    /// Return the shape of a weight that is a tensor of the graph.
    std::optional<Shape> variable_shape(const std::string &role) const {
        const auto found = node.variables.find(role);
        if (found == node.variables.end()) return std::nullopt;
        return graph.shape(found->second);
    }
    LayerWeights layer_weights() const;
    /// Return the node's "weight" as floats, rounded to the precision if necessary. It is the original memory
    /// or, after a conversion or rounding, memory.own.unpacked.
    std::span<const float> weights() const;
    /// Return the node's "bias", or zeros if it has none.
    std::vector<float> bias(std::int64_t outputs) const;
    /// Return weights and bias in the order that kernels read, for an algorithm that does not transform
    /// inputs. `shape` is [outputs][height][width][inputs of a group].
    PackedConvolution pack(const Shape &shape, std::int64_t groups) const;
    PackedConvolution pack(ConvolutionShape shape) const;
    /// Return the fastest algorithm for a convolution with these weights. Winograd's algorithm is considered
    /// only if the options allow it, and not for bfloat16 `operands`.
    ConvolutionShape fastest(const ops::Convolution &convolution, const Shape &weights,
                             Element operands = Element::float32) const;
};

/// Return a copy of the values, padded with zeros to whole vectors of any instruction set.
AlignedBuffer<float> padded_to_vectors(const std::vector<float> &values);
/// Return the values of an ops::Constant, rounded to half in float16 networks.
AlignedBuffer<float> constant_values(const engine::Node &node, engine::Precision precision);
OwnedActivation lower_neuron(const ops::Neuron &neuron, const engine::Node &node, const KernelTable &kernels);

/// Operations without weights need no preparation.
template <class Op> void lower(const OperationLowering &, const Op &) {}
void lower(const OperationLowering &lowering, const ops::BatchNormalization &normalization);
void lower(const OperationLowering &lowering, const ops::BinaryConvolution &convolution);
void lower(const OperationLowering &lowering, const ops::BinaryFullyConnected &dense);
void lower(const OperationLowering &lowering, const ops::Constant &constant);
void lower(const OperationLowering &lowering, const ops::Convolution &convolution);
void lower(const OperationLowering &lowering, const ops::ConvolutionDataGradient &gradient);
void lower(const OperationLowering &lowering, const ops::ConvolutionWeightGradient &gradient);
void lower(const OperationLowering &lowering, const ops::FullyConnected &dense);
void lower(const OperationLowering &lowering, const ops::GroupNormalization &normalization);
void lower(const OperationLowering &lowering, const ops::Gru &layer);
void lower(const OperationLowering &lowering, const ops::GruGradient &gradient);
void lower(const OperationLowering &lowering, const ops::LayerNormalization &normalization);
void lower(const OperationLowering &lowering, const ops::Lstm &layer);
void lower(const OperationLowering &lowering, const ops::LstmGradient &gradient);
void lower(const OperationLowering &lowering, const ops::Neuron &neuron);
void lower(const OperationLowering &lowering, const ops::NeuronGradient &gradient);
void lower(const OperationLowering &lowering, const ops::Padding &padding);
void lower(const OperationLowering &lowering, const ops::SubpixelConvolution &convolution);
void lower(const OperationLowering &lowering, const ops::TransposedConvolution &convolution);

/// Return the task of an operation that is a convolution. Its views have extents but no addresses.
ConvolutionTask convolution_task(const FusedOperation &fused, const std::vector<Shape> &shapes);
/// Begin the step that packs weights that are a tensor of the graph, in the order of `packed`. Its result is
/// temporary memory in the arena (a workspace). The caller adds the step's inputs.
Step &begin_packing(StepBuilder &builder, const FusedOperation &fused, PackTask task,
                    const PackedConvolution &packed);
/// Return the pooling's task for an input of this shape, without tensors and epilogue.
PoolingTask pooling_task(const ops::Pooling &pooling, const Shape &input);
void make_pooled_step(StepBuilder &builder, const LoweredNetwork &network, const Chain &chain);
void make_chain_step(StepBuilder &builder, const LoweredNetwork &network, const Chain &chain);

void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::Argument &argument);
void make_step(StepBuilder &builder, const FusedOperation &fused,
               const ops::BatchNormalization &normalization);
void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::BatchStatistics &statistics);
void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::BinaryConvolution &convolution);
void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::BinaryFullyConnected &dense);
void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::ChannelShuffle &shuffle);
void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::Concatenation &concatenation);
void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::Constant &constant);
void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::Convolution &convolution);
void make_step(StepBuilder &builder, const FusedOperation &fused,
               const ops::CrossChannelNormalization &normalization);
void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::Gather &gather);
void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::GatherGradient &gradient);
void make_step(StepBuilder &builder, const FusedOperation &fused,
               const ops::GroupNormalization &normalization);
void make_step(StepBuilder &builder, const FusedOperation &fused,
               const ops::LayerNormalization &normalization);
void make_step(StepBuilder &builder, const FusedOperation &fused,
               const ops::LocalContrastNormalization &normalization);
void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::Dropout &dropout);
void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::DepthToSpace &operation);
void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::FullyConnected &dense);
void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::LogSoftmax &softmax);
void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::Gru &layer);
void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::GruGradient &gradient);
void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::Lstm &layer);
void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::LstmGradient &gradient);
void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::MatrixProduct &product);
void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::Neuron &neuron);
void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::Padding &padding);
void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::Pooling &pooling);
void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::Reduction &reduction);
void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::Reshape &reshape);
void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::Resize &resize);
void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::Slice &slice);
void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::Softmax &softmax);
void make_step(StepBuilder &builder, const FusedOperation &fused,
               const ops::SpatialNormalization &normalization);
void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::WeightedReduction &reduction);
void make_step(StepBuilder &builder, const FusedOperation &fused,
               const ops::SubpixelConvolution &convolution);
void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::OptimizerGradient &operation);
void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::MovingAverage &operation);
void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::MomentumUpdate &operation);
void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::SgdUpdate &operation);
void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::AdaptiveUpdate &operation);
void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::Loss &operation);
void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::LossGradient &operation);
void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::MultiboxLoss &operation);
void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::MultiboxLossGradient &operation);
void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::SquaredSum &sum);
void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::SumLike &sums);
void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::StepDropout &operation);
void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::BatchNormalizationSums &sums);
void make_step(StepBuilder &builder, const FusedOperation &fused,
               const ops::BatchNormalizationGradient &gradient);
void make_step(StepBuilder &builder, const FusedOperation &fused,
               const ops::ConvolutionDataGradient &gradient);
void make_step(StepBuilder &builder, const FusedOperation &fused,
               const ops::ConvolutionWeightGradient &gradient);
void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::NeuronGradient &gradient);
void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::PoolingGradient &gradient);
void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::ResizeGradient &gradient);
void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::SoftmaxGradient &gradient);
void make_step(StepBuilder &builder, const FusedOperation &fused,
               const ops::CrossChannelNormalizationGradient &gradient);
void make_step(StepBuilder &builder, const FusedOperation &fused,
               const ops::GroupNormalizationGradient &gradient);
void make_step(StepBuilder &builder, const FusedOperation &fused,
               const ops::LayerNormalizationGradient &gradient);
void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::TakeAlongAxis &taken);
void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::Tile &tile);
void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::TopK &top);
void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::Transpose &transpose);
void make_step(StepBuilder &builder, const FusedOperation &fused,
               const ops::TransposedConvolution &convolution);

/// Set the batch normalization that a gradient's step recomputes. The gamma and beta that it reads are
/// appended to `step.others`.
void add_recomputed_normalization(StepBuilder &builder, const FusedOperation &fused, Step &step,
                                  RecomputedNormalization &normalization);

void make_arithmetic_step(StepBuilder &builder, const FusedOperation &fused,
                          const ops::Arithmetic &arithmetic, ops::ArithmeticKind kind);
template <std::derived_from<ops::Arithmetic> Op>
void make_step(StepBuilder &builder, const FusedOperation &fused, const Op &arithmetic) {
    make_arithmetic_step(builder, fused, arithmetic, Op::kind);
}

} // namespace mpscnn::cpu
