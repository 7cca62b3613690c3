#include "kernels/kernel.h"

namespace mpscnn::kernels {

namespace {

template <class T> Family plain() { return T{}; }

template <ops::ArithmeticKind kind> Family arithmetic() {
    Arithmetic family;
    family.kind = kind;
    return family;
}

template <ops::ArithmeticKind kind> Family arithmetic_gradient() {
    ArithmeticGradient family;
    family.forward.kind = kind;
    return family;
}

Family batch_statistics_gradient() {
    BatchNormalizationGradient family;
    family.statistics = true;
    return family;
}

template <bool has_source_gradient> Family loss_gradient() {
    LossGradient family;
    family.has_source_gradient = has_source_gradient;
    return family;
}

template <Optimizer::Kind kind> Family optimizer() {
    Optimizer family;
    family.kind = kind;
    return family;
}

template <ops::ArgumentKind kind> Family argument() {
    ArgumentReduction family;
    family.kind = kind;
    return family;
}

/// Make a family whose kernel is a gradient kernel.
template <class T> Family gradient_of() {
    T family;
    family.is_gradient = true;
    return family;
}

Family group_normalization() {
    GroupNormalization family;
    family.grouped = true;
    return family;
}

Family local_contrast_normalization() {
    WindowNormalization family;
    family.local_contrast = true;
    family.alpha = 0.0f;
    family.beta = 0.5f;
    family.delta = 1.0f / 1024.0f;
    return family;
}

template <ops::ReductionAxis axis, ops::ReductionKind kind> Family reduction() {
    Reduction family;
    family.axis = axis;
    family.kind = kind;
    return family;
}

template <bool mean> Family weighted_reduction() {
    WeightedReduction family;
    family.mean = mean;
    return family;
}

template <ops::NeuronKind kind> Family neuron() {
    Neuron family;
    family.only = kind;
    family.neuron_descriptor.neuron = ops::Neuron{.kind = kind};
    return family;
}

template <ops::PoolingKind kind> Family pooling() {
    Pooling family;
    family.kind = kind;
    return family;
}

Family dilated_pooling_max() {
    Pooling family;
    family.dilated = true;
    return family;
}

template <ops::ResizeKind kind, bool by_factor> Family resize() {
    Resize family;
    family.kind = kind;
    family.by_factor = by_factor;
    return family;
}

template <ops::ResizeKind kind> Family scale() {
    Scale family;
    family.kind = kind;
    return family;
}

template <bool logarithm> Family softmax_gradient() {
    SoftmaxGradient family;
    family.logarithm = logarithm;
    return family;
}

template <bool logarithm> Family softmax() {
    Softmax family;
    family.logarithm = logarithm;
    return family;
}

using ops::ArgumentKind, ops::ArithmeticKind, ops::NeuronKind, ops::PoolingKind, ops::ReductionAxis,
    ops::ReductionKind, ops::ResizeKind;

constexpr bool is_gradient = true;

constexpr KernelClass classes[] = {
    {"Add", "MPSCNNAdd", 2, arithmetic<ArithmeticKind::add>},
    {"AddGradient", "MPSCNNAddGradient", 2, arithmetic_gradient<ArithmeticKind::add>},
    {"BatchNormalization", "MPSCNNBatchNormalization", 1, plain<BatchNormalization>, StateUse::reads},
    {"BatchNormalizationGradient", "MPSCNNBatchNormalizationGradient", 3, plain<BatchNormalizationGradient>,
     StateUse::reads},
    {"BatchNormalizationStatistics", "MPSCNNBatchNormalizationStatistics", 1, plain<BatchStatistics>,
     StateUse::writes},
    {"BatchNormalizationStatisticsGradient", "MPSCNNBatchNormalizationStatisticsGradient", 2,
     batch_statistics_gradient, StateUse::reads},
    {"BinaryConvolution", "MPSCNNBinaryConvolution", 1, plain<BinaryConvolution>},
    {"BinaryFullyConnected", "MPSCNNBinaryFullyConnected", 1, plain<BinaryFullyConnected>},
    {"Compare", "MPSNNCompare", 2, plain<Compare>},
    {"Convolution", "MPSCNNConvolution", 1, plain<Convolution>},
    {"ConvolutionGradient", "MPSCNNConvolutionGradient", 2, plain<Convolution>, StateUse::none, is_gradient},
    {"ConvolutionTranspose", "MPSCNNConvolutionTranspose", 1, plain<ConvolutionTranspose>},
    {"ConvolutionTransposeGradient", "MPSCNNConvolutionTransposeGradient", 2,
     gradient_of<ConvolutionTranspose>, StateUse::none, is_gradient},
    {"CrossChannelNormalization", "MPSCNNCrossChannelNormalization", 1, plain<CrossChannelNormalization>},
    {"CrossChannelNormalizationGradient", "MPSCNNCrossChannelNormalizationGradient", 2,
     plain<CrossChannelNormalization>, StateUse::none, is_gradient},
    {"DilatedPoolingMax", "MPSCNNDilatedPoolingMax", 1, dilated_pooling_max},
    {"DilatedPoolingMaxGradient", "MPSCNNDilatedPoolingMaxGradient", 2, dilated_pooling_max, StateUse::none,
     is_gradient},
    {"Divide", "MPSCNNDivide", 2, arithmetic<ArithmeticKind::divide>},
    {"Dropout", "MPSCNNDropout", 1, plain<Dropout>},
    {"DropoutGradient", "MPSCNNDropoutGradient", 2, plain<Dropout>, StateUse::none, is_gradient},
    {"ForwardLoss", "MPSNNForwardLoss", 2, plain<Loss>, StateUse::none, false, 1},
    {"FullyConnected", "MPSCNNFullyConnected", 1, plain<FullyConnected>},
    {"FullyConnectedGradient", "MPSCNNFullyConnectedGradient", 2, plain<FullyConnected>, StateUse::none,
     is_gradient},
    {"GramMatrixCalculation", "MPSNNGramMatrixCalculation", 1, plain<GramMatrix>},
    {"GramMatrixCalculationGradient", "MPSNNGramMatrixCalculationGradient", 2, plain<GramMatrix>,
     StateUse::none, is_gradient},
    {"GroupNormalization", "MPSCNNGroupNormalization", 1, group_normalization},
    {"GroupNormalizationGradient", "MPSCNNGroupNormalizationGradient", 2, group_normalization, StateUse::none,
     is_gradient},
    {"ImageBilinearScale", "MPSImageBilinearScale", 1, scale<ResizeKind::bilinear>},
    {"ImageConversion", "MPSImageConversion", 1, plain<Conversion>},
    {"ImageLanczosScale", "MPSImageLanczosScale", 1, scale<ResizeKind::lanczos>},
    {"InitialGradient", "MPSNNInitialGradient", 1, plain<InitialGradient>},
    {"InstanceNormalization", "MPSCNNInstanceNormalization", 1, plain<GroupNormalization>},
    {"InstanceNormalizationGradient", "MPSCNNInstanceNormalizationGradient", 2, plain<GroupNormalization>,
     StateUse::none, is_gradient},
    {"LocalContrastNormalization", "MPSCNNLocalContrastNormalization", 1, local_contrast_normalization},
    {"LocalContrastNormalizationGradient", "MPSCNNLocalContrastNormalizationGradient", 2,
     local_contrast_normalization, StateUse::none, is_gradient},
    {"LogSoftMax", "MPSCNNLogSoftMax", 1, softmax<true>},
    {"LogSoftMaxGradient", "MPSCNNLogSoftMaxGradient", 2, softmax_gradient<true>},
    {"Loss", "MPSCNNLoss", 2, loss_gradient<false>, StateUse::none, false, 1},
    {"LossGradient", "MPSNNLossGradient", 3, loss_gradient<true>, StateUse::none, false, 1},
    {"Multiply", "MPSCNNMultiply", 2, arithmetic<ArithmeticKind::multiply>},
    {"MultiplyGradient", "MPSCNNMultiplyGradient", 2, arithmetic_gradient<ArithmeticKind::multiply>},
    {"Neuron", "MPSCNNNeuron", 1, plain<Neuron>},
    {"NeuronAbsolute", "MPSCNNNeuronAbsolute", 1, neuron<NeuronKind::absolute>},
    {"NeuronELU", "MPSCNNNeuronELU", 1, neuron<NeuronKind::elu>},
    {"NeuronExponential", "MPSCNNNeuronExponential", 1, neuron<NeuronKind::exponential>},
    {"NeuronGradient", "MPSCNNNeuronGradient", 2, plain<Neuron>, StateUse::none, is_gradient},
    {"NeuronHardSigmoid", "MPSCNNNeuronHardSigmoid", 1, neuron<NeuronKind::hard_sigmoid>},
    {"NeuronLinear", "MPSCNNNeuronLinear", 1, neuron<NeuronKind::linear>},
    {"NeuronLogarithm", "MPSCNNNeuronLogarithm", 1, neuron<NeuronKind::logarithm>},
    {"NeuronPReLU", "MPSCNNNeuronPReLU", 1, neuron<NeuronKind::prelu>},
    {"NeuronPower", "MPSCNNNeuronPower", 1, neuron<NeuronKind::power>},
    {"NeuronReLU", "MPSCNNNeuronReLU", 1, neuron<NeuronKind::relu>},
    {"NeuronReLUN", "MPSCNNNeuronReLUN", 1, neuron<NeuronKind::relun>},
    {"NeuronSigmoid", "MPSCNNNeuronSigmoid", 1, neuron<NeuronKind::sigmoid>},
    {"NeuronSoftPlus", "MPSCNNNeuronSoftPlus", 1, neuron<NeuronKind::softplus>},
    {"NeuronSoftSign", "MPSCNNNeuronSoftSign", 1, neuron<NeuronKind::softsign>},
    {"NeuronTanH", "MPSCNNNeuronTanH", 1, neuron<NeuronKind::tanh>},
    {"OptimizerAdam", "MPSNNOptimizerAdam", 4, optimizer<Optimizer::Kind::adam>, StateUse::none, false, 1},
    {"OptimizerRMSProp", "MPSNNOptimizerRMSProp", 3, optimizer<Optimizer::Kind::rmsprop>},
    {"OptimizerStochasticGradientDescent", "MPSNNOptimizerStochasticGradientDescent", 2,
     optimizer<Optimizer::Kind::sgd>, StateUse::none, false, 1},
    {"Pad", "MPSNNPad", 1, plain<Pad>},
    {"PadGradient", "MPSNNPadGradient", 2, gradient_of<Pad>, StateUse::none, is_gradient},
    {"PoolingAverage", "MPSCNNPoolingAverage", 1, pooling<PoolingKind::average>},
    {"PoolingAverageGradient", "MPSCNNPoolingAverageGradient", 2, pooling<PoolingKind::average>,
     StateUse::none, is_gradient},
    {"PoolingL2Norm", "MPSCNNPoolingL2Norm", 1, pooling<PoolingKind::l2_norm>},
    {"PoolingL2NormGradient", "MPSCNNPoolingL2NormGradient", 2, pooling<PoolingKind::l2_norm>, StateUse::none,
     is_gradient},
    {"PoolingMax", "MPSCNNPoolingMax", 1, pooling<PoolingKind::max>},
    {"PoolingMaxGradient", "MPSCNNPoolingMaxGradient", 2, pooling<PoolingKind::max>, StateUse::none,
     is_gradient},
    {"ReduceColumnMax", "MPSNNReduceColumnMax", 1, reduction<ReductionAxis::height, ReductionKind::max>},
    {"ReduceColumnMean", "MPSNNReduceColumnMean", 1, reduction<ReductionAxis::height, ReductionKind::mean>},
    {"ReduceColumnMin", "MPSNNReduceColumnMin", 1, reduction<ReductionAxis::height, ReductionKind::min>},
    {"ReduceColumnSum", "MPSNNReduceColumnSum", 1, reduction<ReductionAxis::height, ReductionKind::sum>},
    {"ReduceFeatureChannelsAndWeightsMean", "MPSNNReduceFeatureChannelsAndWeightsMean", 2,
     weighted_reduction<true>},
    {"ReduceFeatureChannelsAndWeightsSum", "MPSNNReduceFeatureChannelsAndWeightsSum", 2,
     weighted_reduction<false>},
    {"ReduceFeatureChannelsArgumentMax", "MPSNNReduceFeatureChannelsArgumentMax", 1,
     argument<ArgumentKind::max>},
    {"ReduceFeatureChannelsArgumentMin", "MPSNNReduceFeatureChannelsArgumentMin", 1,
     argument<ArgumentKind::min>},
    {"ReduceFeatureChannelsMax", "MPSNNReduceFeatureChannelsMax", 1,
     reduction<ReductionAxis::channels, ReductionKind::max>},
    {"ReduceFeatureChannelsMean", "MPSNNReduceFeatureChannelsMean", 1,
     reduction<ReductionAxis::channels, ReductionKind::mean>},
    {"ReduceFeatureChannelsMin", "MPSNNReduceFeatureChannelsMin", 1,
     reduction<ReductionAxis::channels, ReductionKind::min>},
    {"ReduceFeatureChannelsSum", "MPSNNReduceFeatureChannelsSum", 1,
     reduction<ReductionAxis::channels, ReductionKind::sum>},
    {"ReduceRowMax", "MPSNNReduceRowMax", 1, reduction<ReductionAxis::width, ReductionKind::max>},
    {"ReduceRowMean", "MPSNNReduceRowMean", 1, reduction<ReductionAxis::width, ReductionKind::mean>},
    {"ReduceRowMin", "MPSNNReduceRowMin", 1, reduction<ReductionAxis::width, ReductionKind::min>},
    {"ReduceRowSum", "MPSNNReduceRowSum", 1, reduction<ReductionAxis::width, ReductionKind::sum>},
    {"Reshape", "MPSNNReshape", 1, plain<Reshape>},
    {"ReshapeGradient", "MPSNNReshapeGradient", 2, gradient_of<Reshape>, StateUse::none, is_gradient},
    {"ResizeBilinear", "MPSNNResizeBilinear", 1, resize<ResizeKind::bilinear, false>},
    {"Slice", "MPSNNSlice", 1, plain<Slice>},
    {"SoftMax", "MPSCNNSoftMax", 1, softmax<false>},
    {"SoftMaxGradient", "MPSCNNSoftMaxGradient", 2, softmax_gradient<false>},
    {"SpatialNormalization", "MPSCNNSpatialNormalization", 1, plain<WindowNormalization>},
    {"SpatialNormalizationGradient", "MPSCNNSpatialNormalizationGradient", 2, plain<WindowNormalization>,
     StateUse::none, is_gradient},
    {"Subtract", "MPSCNNSubtract", 2, arithmetic<ArithmeticKind::subtract>},
    {"SubtractGradient", "MPSCNNSubtractGradient", 2, arithmetic_gradient<ArithmeticKind::subtract>},
    {"UpsamplingBilinear", "MPSCNNUpsamplingBilinear", 1, resize<ResizeKind::bilinear, true>},
    {"UpsamplingBilinearGradient", "MPSCNNUpsamplingBilinearGradient", 2, resize<ResizeKind::bilinear, true>,
     StateUse::none, is_gradient},
    {"UpsamplingNearest", "MPSCNNUpsamplingNearest", 1, resize<ResizeKind::nearest, true>},
    {"UpsamplingNearestGradient", "MPSCNNUpsamplingNearestGradient", 2, resize<ResizeKind::nearest, true>,
     StateUse::none, is_gradient},
    {"YOLOLoss", "MPSCNNYOLOLoss", 2, plain<YoloLoss>},
};

} // namespace

std::span<const KernelClass> kernel_classes() { return classes; }

} // namespace mpscnn::kernels
