#pragma once

#include <concepts>

#include "metal/arrays/array_program.h"

namespace mpscnn::metal {

// Add the kernels of one operation on arrays to a program. An operation without a function here runs on
// images (metal/layers).

void make_program(ArrayProgram &program, const ops::AdaptiveUpdate &operation);
void make_program(ArrayProgram &program, const ops::BatchNormalization &operation);
void make_program(ArrayProgram &program, const ops::BatchNormalizationGradient &operation);
void make_program(ArrayProgram &program, const ops::BatchNormalizationSums &operation);
void make_program(ArrayProgram &program, const ops::BatchStatistics &operation);
void make_program(ArrayProgram &program, const ops::Convolution &operation);
void make_program(ArrayProgram &program, const ops::ConvolutionDataGradient &operation);
void make_program(ArrayProgram &program, const ops::ConvolutionWeightGradient &operation);
void make_program(ArrayProgram &program, const ops::CrossChannelNormalizationGradient &operation);
void make_program(ArrayProgram &program, const ops::FullyConnected &operation);
void make_program(ArrayProgram &program, const ops::GatherGradient &operation);
void make_program(ArrayProgram &program, const ops::GroupNormalization &operation);
void make_program(ArrayProgram &program, const ops::GroupNormalizationGradient &operation);
void make_program(ArrayProgram &program, const ops::Gru &operation);
void make_program(ArrayProgram &program, const ops::GruGradient &operation);
void make_program(ArrayProgram &program, const ops::LayerNormalization &operation);
void make_program(ArrayProgram &program, const ops::LayerNormalizationGradient &operation);
void make_program(ArrayProgram &program, const ops::Loss &operation);
void make_program(ArrayProgram &program, const ops::LossGradient &operation);
void make_program(ArrayProgram &program, const ops::Lstm &operation);
void make_program(ArrayProgram &program, const ops::LstmGradient &operation);
void make_program(ArrayProgram &program, const ops::MomentumUpdate &operation);
void make_program(ArrayProgram &program, const ops::MovingAverage &operation);
void make_program(ArrayProgram &program, const ops::MultiboxLoss &operation);
void make_program(ArrayProgram &program, const ops::MultiboxLossGradient &operation);
void make_program(ArrayProgram &program, const ops::NeuronGradient &operation);
void make_program(ArrayProgram &program, const ops::OptimizerGradient &operation);
void make_program(ArrayProgram &program, const ops::PoolingGradient &operation);
void make_program(ArrayProgram &program, const ops::ResizeGradient &operation);
void make_program(ArrayProgram &program, const ops::SgdUpdate &operation);
void make_program(ArrayProgram &program, const ops::SoftmaxGradient &operation);
void make_program(ArrayProgram &program, const ops::SquaredSum &operation);
void make_program(ArrayProgram &program, const ops::StepDropout &operation);
void make_program(ArrayProgram &program, const ops::SumLike &operation);

template <class Op>
concept HasArrayProgram =
    requires(ArrayProgram &program, const Op &operation) { make_program(program, operation); };

} // namespace mpscnn::metal
