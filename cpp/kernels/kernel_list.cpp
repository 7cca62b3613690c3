#include "kernels/kernel.h"

namespace mpscnn::kernels {

namespace {

template <class T> Family plain() { return T{}; }

template <ops::ArithmeticKind kind> Family arithmetic() {
    Arithmetic family;
    family.kind = kind;
    return family;
}

template <ops::ArgumentKind kind> Family argument() {
    ArgumentReduction family;
    family.kind = kind;
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

template <bool logarithm> Family softmax() {
    Softmax family;
    family.logarithm = logarithm;
    return family;
}

using ops::ArgumentKind, ops::ArithmeticKind, ops::NeuronKind, ops::PoolingKind, ops::ReductionAxis,
    ops::ReductionKind, ops::ResizeKind;

constexpr KernelClass classes[] = {
    {"Add", "MPSCNNAdd", 2, arithmetic<ArithmeticKind::add>},
    {"BatchNormalization", "MPSCNNBatchNormalization", 1, plain<BatchNormalization>, StateUse::reads},
    {"BatchNormalizationStatistics", "MPSCNNBatchNormalizationStatistics", 1, plain<BatchStatistics>,
     StateUse::writes},
    {"BinaryConvolution", "MPSCNNBinaryConvolution", 1, plain<BinaryConvolution>},
    {"BinaryFullyConnected", "MPSCNNBinaryFullyConnected", 1, plain<BinaryFullyConnected>},
    {"Convolution", "MPSCNNConvolution", 1, plain<Convolution>},
    {"ConvolutionTranspose", "MPSCNNConvolutionTranspose", 1, plain<ConvolutionTranspose>},
    {"CrossChannelNormalization", "MPSCNNCrossChannelNormalization", 1, plain<CrossChannelNormalization>},
    {"DilatedPoolingMax", "MPSCNNDilatedPoolingMax", 1, dilated_pooling_max},
    {"Divide", "MPSCNNDivide", 2, arithmetic<ArithmeticKind::divide>},
    {"Dropout", "MPSCNNDropout", 1, plain<Dropout>},
    {"FullyConnected", "MPSCNNFullyConnected", 1, plain<FullyConnected>},
    {"GroupNormalization", "MPSCNNGroupNormalization", 1, group_normalization},
    {"InstanceNormalization", "MPSCNNInstanceNormalization", 1, plain<GroupNormalization>},
    {"LocalContrastNormalization", "MPSCNNLocalContrastNormalization", 1, local_contrast_normalization},
    {"LogSoftMax", "MPSCNNLogSoftMax", 1, softmax<true>},
    {"Multiply", "MPSCNNMultiply", 2, arithmetic<ArithmeticKind::multiply>},
    {"Neuron", "MPSCNNNeuron", 1, plain<Neuron>},
    {"NeuronAbsolute", "MPSCNNNeuronAbsolute", 1, neuron<NeuronKind::absolute>},
    {"NeuronELU", "MPSCNNNeuronELU", 1, neuron<NeuronKind::elu>},
    {"NeuronExponential", "MPSCNNNeuronExponential", 1, neuron<NeuronKind::exponential>},
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
    {"Pad", "MPSNNPad", 1, plain<Pad>},
    {"PoolingAverage", "MPSCNNPoolingAverage", 1, pooling<PoolingKind::average>},
    {"PoolingL2Norm", "MPSCNNPoolingL2Norm", 1, pooling<PoolingKind::l2_norm>},
    {"PoolingMax", "MPSCNNPoolingMax", 1, pooling<PoolingKind::max>},
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
    {"ResizeBilinear", "MPSNNResizeBilinear", 1, resize<ResizeKind::bilinear, false>},
    {"Slice", "MPSNNSlice", 1, plain<Slice>},
    {"SoftMax", "MPSCNNSoftMax", 1, softmax<false>},
    {"SpatialNormalization", "MPSCNNSpatialNormalization", 1, plain<WindowNormalization>},
    {"Subtract", "MPSCNNSubtract", 2, arithmetic<ArithmeticKind::subtract>},
    {"UpsamplingBilinear", "MPSCNNUpsamplingBilinear", 1, resize<ResizeKind::bilinear, true>},
    {"UpsamplingNearest", "MPSCNNUpsamplingNearest", 1, resize<ResizeKind::nearest, true>},
};

} // namespace

std::span<const KernelClass> kernel_classes() { return classes; }

} // namespace mpscnn::kernels
