#pragma once

#include <utility>

#include "core/json.h"
#include "core/variant.h"
#include "ops/arithmetic.h"
#include "ops/binary_convolution.h"
#include "ops/constant.h"
#include "ops/convolution.h"
#include "ops/custom.h"
#include "ops/dropout.h"
#include "ops/fully_connected.h"
#include "ops/gather.h"
#include "ops/loss.h"
#include "ops/matrix_product.h"
#include "ops/moves.h"
#include "ops/neuron.h"
#include "ops/normalization.h"
#include "ops/normalization_gradient.h"
#include "ops/optimizer.h"
#include "ops/pooling.h"
#include "ops/recurrent.h"
#include "ops/reduction.h"
#include "ops/resize.h"
#include "ops/softmax.h"
#include "ops/subpixel.h"
#include "ops/transposed_convolution.h"

namespace mpscnn::ops {

/// The table of all operations. Model files, the C interface, Python, the documentation and the tests that
/// walk the table know every operation that is listed here.
#define MPSCNN_ARITHMETIC(NAME, TYPE, SUMMARY) TYPE,
struct OperationList
    : TypeList<FOR_EACH_ARITHMETIC(MPSCNN_ARITHMETIC) // elementwise operations on two tensors
               Argument,
               BatchNormalization, BatchStatistics, BinaryConvolution, BinaryFullyConnected, ChannelShuffle,
               Concatenation, Constant, Convolution, CrossChannelNormalization, DepthToSpace, Dropout,
               FullyConnected, Gather, GroupNormalization, Gru, LayerNormalization,
               LocalContrastNormalization, LogSoftmax, Lstm, MatrixProduct, Neuron, Padding, Pooling,
               Reduction, Reshape, Resize, Slice, Softmax, SpatialNormalization, SubpixelConvolution,
               TakeAlongAxis, Tile, TopK, Transpose, TransposedConvolution, WeightedReduction, SumLike,
               StepDropout, Loss, LossGradient, MultiboxLoss, MultiboxLossGradient, OptimizerGradient,
               MovingAverage, MomentumUpdate, SgdUpdate, AdaptiveUpdate, BatchNormalizationGradient,
               BatchNormalizationSums, ConvolutionDataGradient, ConvolutionWeightGradient,
               // gradients of layers without weights, losses, updates of weights
               CrossChannelNormalizationGradient, GatherGradient, GroupNormalizationGradient, GruGradient,
               LayerNormalizationGradient, LstmGradient, NeuronGradient, PoolingGradient, ResizeGradient,
               SoftmaxGradient, SquaredSum, Custom> {
}; // a function of the calling program; model files cannot contain it
#undef MPSCNN_ARITHMETIC

/// An operation of the table. Its copies, moves and destructor are compiled once, in op_list.cpp, because
/// compiling them for all operations takes seconds.
class Operation : public Variant<OperationList> {
public:
    Operation();
    Operation(const Operation &);
    Operation(Operation &&) noexcept;
    Operation &operator=(const Operation &);
    Operation &operator=(Operation &&) noexcept;
    ~Operation();

    template <class Op>
        requires(OperationList::has<Op>)
    Operation(Op operation) : Variant(std::move(operation)) {}
};

const OperationInfo &info_of(const Operation &operation);

/// Return all parameters as JSON, in the order of their definition.
Json attributes_of(const Operation &operation);
Json attributes_of(const Neuron &neuron);

/// Return the operation `name` with these attributes; missing ones keep their defaults. Throws ParameterError
/// for an unknown operation or attribute and for a value of the wrong type.
Operation make_operation(std::string_view name, const Json &attributes);
Neuron make_neuron(const Json &attributes);

/// Check the number of inputs, the parameters and the shapes of the inputs. Throws an error if one is wrong.
void check(const Operation &operation, const InputShapes &inputs);
Shape output_shape(const Operation &operation, const InputShapes &inputs);
WeightSpecs weight_specs(const Operation &operation, const InputShapes &inputs);
Cost cost(const Operation &operation, const InputShapes &inputs, const Shape &output);

/// Return a description of all operations except Custom as JSON: name, summary, inputs, rounding point,
/// gradient, and parameters with their names, types, defaults, allowed names and meanings.
Json describe_operations();

} // namespace mpscnn::ops
