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

/// Make a family's gradient kernel.
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

/// Return a neuron with the defaults of a, b and c in Apple's initialisers or documentation.
constexpr ops::Neuron default_neuron(ops::NeuronKind kind) {
    switch (kind) {
    case ops::NeuronKind::elu:
        return {kind, 1.0f};
    case ops::NeuronKind::exponential:
        return {kind, 1.0f, 0.0f, -1.0f};
    case ops::NeuronKind::hard_sigmoid:
        return {kind, 0.2f, 0.5f};
    case ops::NeuronKind::linear:
        return {kind, 1.0f};
    case ops::NeuronKind::logarithm:
        return {kind, 1.0f, 0.0f, -1.0f};
    case ops::NeuronKind::power:
        return {kind, 1.0f, 0.0f, 1.0f};
    case ops::NeuronKind::relun:
        return {kind, 1.0f, 6.0f};
    case ops::NeuronKind::softplus:
        return {kind, 1.0f, 1.0f};
    case ops::NeuronKind::tanh:
        return {kind, 1.0f, 1.0f};
    default:
        return {kind};
    }
}

template <ops::NeuronKind kind> Family neuron() {
    Neuron family;
    family.only = kind;
    family.neuron_descriptor.neuron = default_neuron(kind);
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
    {"Add", "MPSCNNAdd", "x + y.", 2, arithmetic<ArithmeticKind::add>},
    {"AddGradient", "MPSCNNAddGradient", "scale * g.", 2, arithmetic_gradient<ArithmeticKind::add>},
    {"BatchNormalization", "MPSCNNBatchNormalization",
     "gamma (x - mean) / sqrt(variance + epsilon) + beta for each channel.", 1, plain<BatchNormalization>,
     StateUse::reads},
    {"BatchNormalizationGradient", "MPSCNNBatchNormalizationGradient",
     "Compute the gradient of a batch normalization's source.", 3, plain<BatchNormalizationGradient>,
     StateUse::reads},
    {"BatchNormalizationStatistics", "MPSCNNBatchNormalizationStatistics",
     "Add the mean and variance of a batch to a state.", 1, plain<BatchStatistics>, StateUse::writes},
    {"BatchNormalizationStatisticsGradient", "MPSCNNBatchNormalizationStatisticsGradient",
     "Compute the gradients of gamma and beta, and store them in the state.", 2, batch_statistics_gradient,
     StateUse::reads},
    {"BinaryConvolution", "MPSCNNBinaryConvolution", "Convolution with weights of one bit.", 1,
     plain<BinaryConvolution>},
    {"BinaryFullyConnected", "MPSCNNBinaryFullyConnected",
     "Compute weighted sums of the whole source with weights of one bit.", 1, plain<BinaryFullyConnected>},
    {"Compare", "MPSNNCompare",
     "1 where x and y compare as `comparison_type` says, else 0.\n\n"
     "x and y are the sources times their scales. They count as equal if |x - y| <= threshold; the other "
     "comparisons have no threshold. NaN is not equal to anything, nor less or greater. `bias` and the "
     "limits apply to the result.",
     2, plain<Compare>},
    {"Convolution", "MPSCNNConvolution", "Convolution (a correlation).", 1, plain<Convolution>},
    {"ConvolutionGradient", "MPSCNNConvolutionGradient",
     "Compute the gradients of a convolution's source, weights and bias terms.", 2, plain<Convolution>,
     StateUse::none, is_gradient},
    {"ConvolutionTranspose", "MPSCNNConvolutionTranspose", "Transposed convolution.", 1,
     plain<ConvolutionTranspose>},
    {"ConvolutionTransposeGradient", "MPSCNNConvolutionTransposeGradient",
     "Compute the gradients of a transposed convolution's source, weights and bias terms.", 2,
     gradient_of<ConvolutionTranspose>, StateUse::none, is_gradient},
    {"CrossChannelNormalization", "MPSCNNCrossChannelNormalization",
     "x / (delta + alpha / kernel_size * sum of x^2)^beta.\n\n"
     "The sum is over the channels [k - floor(kernel_size / 2), k + floor((kernel_size - 1) / 2)] that "
     "exist.",
     1, plain<CrossChannelNormalization>},
    {"CrossChannelNormalizationGradient", "MPSCNNCrossChannelNormalizationGradient",
     "Compute the gradient of a cross-channel normalization's source.", 2, plain<CrossChannelNormalization>,
     StateUse::none, is_gradient},
    {"DilatedPoolingMax", "MPSCNNDilatedPoolingMax",
     "Compute the maximum of each window whose taps lie dilation_rate pixels apart.", 1, dilated_pooling_max},
    {"DilatedPoolingMaxGradient", "MPSCNNDilatedPoolingMaxGradient",
     "Compute the gradient of a `DilatedPoolingMax`, like `PoolingMaxGradient`.", 2, dilated_pooling_max,
     StateUse::none, is_gradient},
    {"Divide", "MPSCNNDivide", "x / y.", 2, arithmetic<ArithmeticKind::divide>},
    {"Dropout", "MPSCNNDropout",
     "Keep each element with a given probability p and divide it by p, or set it to 0.", 1, plain<Dropout>},
    {"DropoutGradient", "MPSCNNDropoutGradient",
     "Compute the gradient of a `Dropout`: that of each kept element divided by the probability, otherwise "
     "0.\n\n"
     "Takes what the forward kernel takes: the same seed has the same mask.",
     2, plain<Dropout>, StateUse::none, is_gradient},
    {"ForwardLoss", "MPSNNForwardLoss",
     "Compute the loss of a prediction, but not the gradient, which `LossGradient` computes.", 2, plain<Loss>,
     StateUse::none, false, 1},
    {"FullyConnected", "MPSCNNFullyConnected",
     "Compute weighted sums of the whole source: a 1 x 1 image of `output_feature_channels`.", 1,
     plain<FullyConnected>},
    {"FullyConnectedGradient", "MPSCNNFullyConnectedGradient",
     "Compute the gradients of a fully connected kernel's source, weights and bias terms.", 2,
     plain<FullyConnected>, StateUse::none, is_gradient},
    {"GramMatrixCalculation", "MPSNNGramMatrixCalculation",
     "Compute products of feature channels, summed over all pixels.\n\n"
     "With C channels the result has C columns, one row and C channels: alpha * sum of x[f] * x[c] in column "
     "f, channel c. It is written whole, and `offset` must be (0, 0, z).",
     1, plain<GramMatrix>},
    {"GramMatrixCalculationGradient", "MPSNNGramMatrixCalculationGradient",
     "alpha * sum over f of (g[f, c] + g[c, f]) * x[f] for each pixel.\n\n"
     "g[f, c] is the gradient of column f, channel c. It is read whole; all offsets must be 0.",
     2, plain<GramMatrix>, StateUse::none, is_gradient},
    {"GroupNormalization", "MPSCNNGroupNormalization",
     "Normalize groups of consecutive channels, otherwise like `InstanceNormalization`.", 1,
     group_normalization},
    {"GroupNormalizationGradient", "MPSCNNGroupNormalizationGradient",
     "Compute the gradients of a `GroupNormalization`'s source, gamma and beta.", 2, group_normalization,
     StateUse::none, is_gradient},
    {"ImageBilinearScale", "MPSImageBilinearScale",
     "Bilinear interpolation between pixel centres without antialiasing.", 1, scale<ResizeKind::bilinear>},
    {"ImageConversion", "MPSImageConversion", "Convert an image to another alpha, colour space or format.", 1,
     plain<Conversion>},
    {"ImageLanczosScale", "MPSImageLanczosScale",
     "Lanczos' filter with three lobes. Apple does not state the formula of its class.\n\n"
     "At a position p of the source the result is the sum of the pixels i by the weights L((i - p) / s), "
     "divided by their sum, L(t) = sinc(t) sinc(t / 3) for |t| < 3, along both axes. s is 1, or where the "
     "image becomes smaller the source pixels for one of the result, so that a smaller image needs no blur "
     "before.",
     1, scale<ResizeKind::lanczos>},
    {"InitialGradient", "MPSNNInitialGradient",
     "Make an image of ones like the source: a loss's gradient with respect to itself.", 1,
     plain<InitialGradient>},
    {"InstanceNormalization", "MPSCNNInstanceNormalization",
     "gamma (x - mean) / sqrt(variance + epsilon) + beta.", 1, plain<GroupNormalization>},
    {"InstanceNormalizationGradient", "MPSCNNInstanceNormalizationGradient",
     "Compute the gradients of an instance normalization's source, gamma and beta.", 2,
     plain<GroupNormalization>, StateUse::none, is_gradient},
    {"LocalContrastNormalization", "MPSCNNLocalContrastNormalization",
     "pm + ps (x - p0 mean) / (delta + alpha * variance)^beta.\n\n"
     "Mean and variance over the window divide by kernel_width * kernel_height everywhere.",
     1, local_contrast_normalization},
    {"LocalContrastNormalizationGradient", "MPSCNNLocalContrastNormalizationGradient",
     "Compute the gradient of a local contrast normalization's source.", 2, local_contrast_normalization,
     StateUse::none, is_gradient},
    {"LogSoftMax", "MPSCNNLogSoftMax", "x - ln(sum(exp(x))) over the feature channels of each pixel.", 1,
     softmax<true>},
    {"LogSoftMaxGradient", "MPSCNNLogSoftMaxGradient",
     "g - exp(y) sum(g) over the feature channels of each pixel.\n\n"
     "The primary source is the gradient g of the result, the secondary source the result y of the "
     "`LogSoftMax` itself.",
     2, softmax_gradient<true>},
    {"Loss", "MPSCNNLoss", "Compute the loss of a prediction, and the gradient of the prediction.", 2,
     loss_gradient<false>, StateUse::none, false, 1},
    {"LossGradient", "MPSNNLossGradient",
     "Compute the gradient of a prediction from the gradient of its loss.", 3, loss_gradient<true>,
     StateUse::none, false, 1},
    {"Multiply", "MPSCNNMultiply", "x * y.", 2, arithmetic<ArithmeticKind::multiply>},
    {"MultiplyGradient", "MPSCNNMultiplyGradient", "primary_scale * secondary_scale * g * the other operand.",
     2, arithmetic_gradient<ArithmeticKind::multiply>},
    {"Neuron", "MPSCNNNeuron", "An activation function of every element: see `NeuronDescriptor`.", 1,
     plain<Neuron>},
    {"NeuronAbsolute", "MPSCNNNeuronAbsolute", "|x|.", 1, neuron<NeuronKind::absolute>},
    {"NeuronELU", "MPSCNNNeuronELU", "For x >= 0 x, else a (e^x - 1).", 1, neuron<NeuronKind::elu>},
    {"NeuronExponential", "MPSCNNNeuronExponential", "c^(a x + b), c = -1 meaning e.", 1,
     neuron<NeuronKind::exponential>},
    {"NeuronGradient", "MPSCNNNeuronGradient",
     "Multiply the gradient by the activation function's derivative at the source image.", 2, plain<Neuron>,
     StateUse::none, is_gradient},
    {"NeuronHardSigmoid", "MPSCNNNeuronHardSigmoid", "The line a x + b limited to 0 to 1.", 1,
     neuron<NeuronKind::hard_sigmoid>},
    {"NeuronLinear", "MPSCNNNeuronLinear", "The line a x + b.", 1, neuron<NeuronKind::linear>},
    {"NeuronLogarithm", "MPSCNNNeuronLogarithm", "log_c(a x + b), c = -1 meaning e.", 1,
     neuron<NeuronKind::logarithm>},
    {"NeuronPReLU", "MPSCNNNeuronPReLU", "For x >= 0 x, else a[channel] x.", 1, neuron<NeuronKind::prelu>},
    {"NeuronPower", "MPSCNNNeuronPower", "(a x + b)^c.", 1, neuron<NeuronKind::power>},
    {"NeuronReLU", "MPSCNNNeuronReLU", "For x >= 0 x, else a x.", 1, neuron<NeuronKind::relu>},
    {"NeuronReLUN", "MPSCNNNeuronReLUN",
     "min(x for x >= 0, else a x; b). ReLU6 is a = 0, b = 6; Apple's a is 1 unless given.", 1,
     neuron<NeuronKind::relun>},
    {"NeuronSigmoid", "MPSCNNNeuronSigmoid", "1 / (1 + e^-x).", 1, neuron<NeuronKind::sigmoid>},
    {"NeuronSoftPlus", "MPSCNNNeuronSoftPlus", "The curve a ln(1 + e^(b x)).", 1,
     neuron<NeuronKind::softplus>},
    {"NeuronSoftSign", "MPSCNNNeuronSoftSign", "The quotient x / (1 + |x|).", 1,
     neuron<NeuronKind::softsign>},
    {"NeuronTanH", "MPSCNNNeuronTanH", "The curve a tanh(b x).", 1, neuron<NeuronKind::tanh>},
    {"OptimizerAdam", "MPSNNOptimizerAdam", "value - rate * momentum / (sqrt(velocity) + epsilon).", 4,
     optimizer<Optimizer::Kind::adam>, StateUse::none, false, 1},
    {"OptimizerRMSProp", "MPSNNOptimizerRMSProp", "value - learning_rate * g / (sqrt(velocity) + epsilon).",
     3, optimizer<Optimizer::Kind::rmsprop>},
    {"OptimizerStochasticGradientDescent", "MPSNNOptimizerStochasticGradientDescent",
     "value - moment, moment = momentum_scale * moment + learning_rate * g.", 2,
     optimizer<Optimizer::Kind::sgd>, StateUse::none, false, 1},
    {"Pad", "MPSNNPad",
     "Add a border around an image and its channels.\n\n"
     "`edge_mode` is the content of the border: 'zero', 'clamp' (the nearest pixel), 'mirror' and "
     "'mirror_with_edge' (reflections, as often as needed, the border pixel once or twice) or 'constant'. "
     "With a destination given, rows and columns follow from `offset` (minus what lies before) and from what "
     "is written; channels are always those of the padding sizes. `source_feature_channel_offset` need not "
     "be a multiple of 4.",
     1, plain<Pad>},
    {"PadGradient", "MPSNNPadGradient",
     "Add the gradient of the border to the pixels that it was copied from.\n\n"
     "With the `secondary_edge_mode` 'clamp', 'mirror' and 'mirror_with_edge', the border repeats pixels: "
     "its gradients are added to the gradients of these pixels. Gradients of other borders are "
     "dropped. A state of the `Pad` sets the padding sizes; without one rows and columns before the source "
     "are `kernel_offset_x` and `kernel_offset_y`.",
     2, gradient_of<Pad>, StateUse::none, is_gradient},
    {"PoolingAverage", "MPSCNNPoolingAverage",
     "Compute the mean of each window.\n\n"
     "With edge_mode 'zero' the divisor is kernel_width * kernel_height; with 'clamp' it counts the pixels "
     "of the window that lie in the image and in the zero_pad_size_x columns and zero_pad_size_y rows of "
     "zeros around it.",
     1, pooling<PoolingKind::average>},
    {"PoolingAverageGradient", "MPSCNNPoolingAverageGradient",
     "Distribute the gradient to all pixels of each window, divided like the mean.", 2,
     pooling<PoolingKind::average>, StateUse::none, is_gradient},
    {"PoolingL2Norm", "MPSCNNPoolingL2Norm",
     "Compute the square root of the sum of squares of each window.\n\n"
     "With edge_mode 'clamp' what lies outside reads as the nearest pixel; Apple does not document this "
     "case.",
     1, pooling<PoolingKind::l2_norm>},
    {"PoolingL2NormGradient", "MPSCNNPoolingL2NormGradient",
     "Multiply the gradient by pixel / norm of each window, 0 where the norm is 0.", 2,
     pooling<PoolingKind::l2_norm>, StateUse::none, is_gradient},
    {"PoolingMax", "MPSCNNPoolingMax",
     "Compute the maximum of each window.\n\n"
     "With edge_mode 'zero' the zeros outside take part: frameworks' max pooling is 'clamp'.",
     1, pooling<PoolingKind::max>},
    {"PoolingMaxGradient", "MPSCNNPoolingMaxGradient",
     "Add the gradient to the maximum of each window, the first of equal ones.\n\n"
     "If a zero outside the image is the maximum, the gradient is dropped.",
     2, pooling<PoolingKind::max>, StateUse::none, is_gradient},
    {"ReduceColumnMax", "MPSNNReduceColumnMax",
     "Compute the maximum of each column: the result is one pixel high.", 1,
     reduction<ReductionAxis::height, ReductionKind::max>},
    {"ReduceColumnMean", "MPSNNReduceColumnMean",
     "Compute the mean of each column: the result is one pixel high.", 1,
     reduction<ReductionAxis::height, ReductionKind::mean>},
    {"ReduceColumnMin", "MPSNNReduceColumnMin",
     "Compute the minimum of each column: the result is one pixel high.", 1,
     reduction<ReductionAxis::height, ReductionKind::min>},
    {"ReduceColumnSum", "MPSNNReduceColumnSum",
     "Compute the sum of each column: the result is one pixel high.", 1,
     reduction<ReductionAxis::height, ReductionKind::sum>},
    {"ReduceFeatureChannelsAndWeightsMean", "MPSNNReduceFeatureChannelsAndWeightsMean",
     "Compute the weighted mean over the feature channels of each pixel.\n\n"
     "The sum of primary times secondary is divided by the number of weights that are not zero.",
     2, weighted_reduction<true>},
    {"ReduceFeatureChannelsAndWeightsSum", "MPSNNReduceFeatureChannelsAndWeightsSum",
     "Compute the sum over the channels of primary times secondary.\n\n"
     "With `do_weighted_sum_by_non_zero_weights` it is divided by the number of weights that are not zero.",
     2, weighted_reduction<false>},
    {"ReduceFeatureChannelsArgumentMax", "MPSNNReduceFeatureChannelsArgumentMax",
     "Find the channel with the maximum, the first of equal ones.", 1, argument<ArgumentKind::max>},
    {"ReduceFeatureChannelsArgumentMin", "MPSNNReduceFeatureChannelsArgumentMin",
     "Find the channel with the minimum, the first of equal ones.", 1, argument<ArgumentKind::min>},
    {"ReduceFeatureChannelsMax", "MPSNNReduceFeatureChannelsMax",
     "Compute the maximum of the feature channels of each pixel: the result has one channel.", 1,
     reduction<ReductionAxis::channels, ReductionKind::max>},
    {"ReduceFeatureChannelsMean", "MPSNNReduceFeatureChannelsMean",
     "Compute the mean of the feature channels of each pixel: the result has one channel.", 1,
     reduction<ReductionAxis::channels, ReductionKind::mean>},
    {"ReduceFeatureChannelsMin", "MPSNNReduceFeatureChannelsMin",
     "Compute the minimum of the feature channels of each pixel: the result has one channel.", 1,
     reduction<ReductionAxis::channels, ReductionKind::min>},
    {"ReduceFeatureChannelsSum", "MPSNNReduceFeatureChannelsSum",
     "Compute the sum of the feature channels of each pixel: the result has one channel.", 1,
     reduction<ReductionAxis::channels, ReductionKind::sum>},
    {"ReduceRowMax", "MPSNNReduceRowMax", "Compute the maximum of each row: the result is one pixel wide.", 1,
     reduction<ReductionAxis::width, ReductionKind::max>},
    {"ReduceRowMean", "MPSNNReduceRowMean", "Compute the mean of each row: the result is one pixel wide.", 1,
     reduction<ReductionAxis::width, ReductionKind::mean>},
    {"ReduceRowMin", "MPSNNReduceRowMin", "Compute the minimum of each row: the result is one pixel wide.", 1,
     reduction<ReductionAxis::width, ReductionKind::min>},
    {"ReduceRowSum", "MPSNNReduceRowSum", "Compute the sum of each row: the result is one pixel wide.", 1,
     reduction<ReductionAxis::width, ReductionKind::sum>},
    {"Reshape", "MPSNNReshape",
     "Arrange the elements of each image, in `[height][width][channel]` order, in another shape.\n\n"
     "The whole source is read and the whole result written; `offset` must be (0, 0, z).",
     1, plain<Reshape>},
    {"ReshapeGradient", "MPSNNReshapeGradient",
     "Return the elements of each gradient in the shape of the image that was reshaped.", 2,
     gradient_of<Reshape>, StateUse::none, is_gradient},
    {"ResizeBilinear", "MPSNNResizeBilinear",
     "Bilinear interpolation to a given size. Otherwise like `UpsamplingBilinear`.", 1,
     resize<ResizeKind::bilinear, false>},
    {"Slice", "MPSNNSlice",
     "Copy the pixels from `offset` and the channels from `source_feature_channel_offset` on.", 1,
     plain<Slice>},
    {"SoftMax", "MPSCNNSoftMax", "exp(x) / sum(exp(x)) over the feature channels of each pixel.", 1,
     softmax<false>},
    {"SoftMaxGradient", "MPSCNNSoftMaxGradient",
     "y (g - sum(g y)) over the feature channels of each pixel.\n\n"
     "The primary source is the gradient g of the result, the secondary source the result y of the `SoftMax` "
     "itself, as Apple's class wants it.",
     2, softmax_gradient<false>},
    {"SpatialNormalization", "MPSCNNSpatialNormalization",
     "x / (delta + alpha * mean of x^2 over the window)^beta.\n\n"
     "The mean divides by kernel_width * kernel_height everywhere.",
     1, plain<WindowNormalization>},
    {"SpatialNormalizationGradient", "MPSCNNSpatialNormalizationGradient",
     "Compute the gradient of a spatial normalization's source.", 2, plain<WindowNormalization>,
     StateUse::none, is_gradient},
    {"Subtract", "MPSCNNSubtract", "x - y.", 2, arithmetic<ArithmeticKind::subtract>},
    {"SubtractGradient", "MPSCNNSubtractGradient",
     "primary_scale * g, or -secondary_scale * g.\n\n"
     "Apple's class needs primary_scale = -1 for the secondary operand; this one has the sign.",
     2, arithmetic_gradient<ArithmeticKind::subtract>},
    {"UpsamplingBilinear", "MPSCNNUpsamplingBilinear",
     "Bilinear interpolation.\n\n"
     "With `align_corners` result[o] = x at o * (n - 1) / (scale_factor * n - 1); otherwise at (o + 0.5) / "
     "scale_factor - 0.5, TensorFlow's and PyTorch's rule. Apple's rule differs between systems.",
     1, resize<ResizeKind::bilinear, true>},
    {"UpsamplingBilinearGradient", "MPSCNNUpsamplingBilinearGradient",
     "Compute the sum of the gradients of all pixels that were sampled from a pixel, each times its "
     "weight.\n\n"
     "Apple's class has no `align_corners`.",
     2, resize<ResizeKind::bilinear, true>, StateUse::none, is_gradient},
    {"UpsamplingNearest", "MPSCNNUpsamplingNearest",
     "Repeat every pixel: result[o] = x[floor(o / scale_factor)].", 1, resize<ResizeKind::nearest, true>},
    {"UpsamplingNearestGradient", "MPSCNNUpsamplingNearestGradient",
     "Compute the sum of the gradients of each pixel's copies.", 2, resize<ResizeKind::nearest, true>,
     StateUse::none, is_gradient},
    {"YOLOLoss", "MPSCNNYOLOLoss",
     "Compute the loss of a YOLO detector's prediction, and the gradient of the prediction.", 2,
     plain<YoloLoss>},
};

} // namespace

std::span<const KernelClass> kernel_classes() { return classes; }

} // namespace mpscnn::kernels
