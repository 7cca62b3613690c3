"""Raw kernels that have only properties. `python docs/generate` writes this file."""

from typing import Any

from typing_extensions import Unpack

from mpscnn.kernels.arithmetic import Arithmetic, ArithmeticKernel
from mpscnn.kernels.arithmetic_gradient import ArithmeticGradient
from mpscnn.kernels.families import Pooling, ReduceBinary, ReduceUnary, Upsampling, UpsamplingGradient
from mpscnn.kernels.gradient import DifferentiableKernel, GradientKernel
from mpscnn.kernels.image import ImageScale
from mpscnn.kernels.kernel import BinaryKernel, UnaryKernel
from mpscnn.kernels.named import (
    CompareProperties,
    ComparisonName,
    CrossChannelNormalizationGradientProperties,
    CrossChannelNormalizationProperties,
    DropoutGradientProperties,
    GradientProperties,
    LocalContrastNormalizationGradientProperties,
    LocalContrastNormalizationProperties,
    PadGradientProperties,
    PadProperties,
    PoolingAverageGradientProperties,
    PoolingAverageProperties,
    PoolingGradientProperties,
    ReduceBinaryProperties,
    ReduceFeatureChannelsSumProperties,
    ResizeBilinearProperties,
    UnaryProperties,
    UpsamplingBilinearGradientProperties,
)
from mpscnn.kernels.neuron import Neuron
from mpscnn.kernels.pooling import PoolingGradient
from mpscnn.kernels.properties import Flag, Integer, Number, Numbers, Size, Text

__all__ = [
    "Add",
    "AddGradient",
    "Compare",
    "CrossChannelNormalization",
    "CrossChannelNormalizationGradient",
    "DilatedPoolingMax",
    "DilatedPoolingMaxGradient",
    "Divide",
    "DropoutGradient",
    "GramMatrixCalculation",
    "GramMatrixCalculationGradient",
    "ImageBilinearScale",
    "ImageLanczosScale",
    "LocalContrastNormalization",
    "LocalContrastNormalizationGradient",
    "LogSoftMax",
    "LogSoftMaxGradient",
    "Multiply",
    "MultiplyGradient",
    "NeuronAbsolute",
    "NeuronELU",
    "NeuronExponential",
    "NeuronHardSigmoid",
    "NeuronLinear",
    "NeuronLogarithm",
    "NeuronPReLU",
    "NeuronPower",
    "NeuronReLU",
    "NeuronReLUN",
    "NeuronSigmoid",
    "NeuronSoftPlus",
    "NeuronSoftSign",
    "NeuronTanH",
    "Pad",
    "PadGradient",
    "PoolingAverage",
    "PoolingAverageGradient",
    "PoolingL2Norm",
    "PoolingL2NormGradient",
    "PoolingMax",
    "PoolingMaxGradient",
    "ReduceColumnMax",
    "ReduceColumnMean",
    "ReduceColumnMin",
    "ReduceColumnSum",
    "ReduceFeatureChannelsAndWeightsMean",
    "ReduceFeatureChannelsAndWeightsSum",
    "ReduceFeatureChannelsArgumentMax",
    "ReduceFeatureChannelsArgumentMin",
    "ReduceFeatureChannelsMax",
    "ReduceFeatureChannelsMean",
    "ReduceFeatureChannelsMin",
    "ReduceFeatureChannelsSum",
    "ReduceRowMax",
    "ReduceRowMean",
    "ReduceRowMin",
    "ReduceRowSum",
    "Reshape",
    "ResizeBilinear",
    "Slice",
    "SoftMax",
    "SoftMaxGradient",
    "SpatialNormalization",
    "SpatialNormalizationGradient",
    "Subtract",
    "SubtractGradient",
    "UpsamplingBilinear",
    "UpsamplingBilinearGradient",
    "UpsamplingNearest",
    "UpsamplingNearestGradient",
]

class Add(Arithmetic):
    """x + y, as MPSCNNAdd."""

class Subtract(Arithmetic):
    """x - y, as MPSCNNSubtract."""

class Multiply(Arithmetic):
    """x * y, as MPSCNNMultiply."""

class Divide(Arithmetic):
    """x / y, as MPSCNNDivide."""

class Compare(ArithmeticKernel):
    """1 where x and y compare as `comparison_type` says, else 0, as MPSNNCompare.

    x and y are the sources times their scales. They count as equal if |x - y| <= threshold; the other comparisons have
    no threshold. NaN is not equal to anything, nor less or greater. `bias` and the limits apply to the result.
    """

    comparison_type: Text
    threshold: Number
    def __init__(
        self, comparison_type: ComparisonName = "equal", **properties: Unpack[CompareProperties]
    ) -> None: ...

class AddGradient(ArithmeticGradient):
    """scale * g, as MPSCNNAddGradient."""

class SubtractGradient(ArithmeticGradient):
    """primary_scale * g, or -secondary_scale * g, as MPSCNNSubtractGradient.

    Apple's class needs primary_scale = -1 for the secondary operand; this one has the sign.
    """

class MultiplyGradient(ArithmeticGradient):
    """primary_scale * secondary_scale * g * the other operand, as MPSCNNMultiplyGradient."""

class Slice(UnaryKernel):
    """Copy the pixels from `offset` and the channels from `source_feature_channel_offset` on, as MPSNNSlice."""

class SoftMax(UnaryKernel):
    """exp(x) / sum(exp(x)) over the feature channels of each pixel, as MPSCNNSoftMax."""

class LogSoftMax(UnaryKernel):
    """x - ln(sum(exp(x))) over the feature channels of each pixel, as MPSCNNLogSoftMax."""

class ResizeBilinear(UnaryKernel):
    """Bilinear interpolation to a given size, as MPSNNResizeBilinear. Otherwise like `UpsamplingBilinear`."""

    resize_width: Integer
    resize_height: Integer
    align_corners: Flag
    def __init__(
        self, resize_width: int, resize_height: int, **properties: Unpack[ResizeBilinearProperties]
    ) -> None: ...

class SoftMaxGradient(BinaryKernel):
    """y (g - sum(g y)) over the feature channels of each pixel, as MPSCNNSoftMaxGradient.

    The primary source is the gradient g of the result, the secondary source the result y of the `SoftMax` itself, as
    Apple's class wants it.
    """

class LogSoftMaxGradient(BinaryKernel):
    """g - exp(y) sum(g) over the feature channels of each pixel, as MPSCNNLogSoftMaxGradient.

    The primary source is the gradient g of the result, the secondary source the result y of the `LogSoftMax` itself.
    """

class CrossChannelNormalization(DifferentiableKernel):
    """x / (delta + alpha / kernel_size * sum of x^2)^beta, as MPSCNNCrossChannelNormalization.

    The sum is over the channels [k - floor(kernel_size / 2), k + floor((kernel_size - 1) / 2)] that exist.
    """

    kernel_size: Integer
    alpha: Number
    beta: Number
    delta: Number
    def __init__(
        self, kernel_size: int = 5, **properties: Unpack[CrossChannelNormalizationProperties]
    ) -> None: ...

class GramMatrixCalculation(DifferentiableKernel):
    """Compute products of feature channels, summed over all pixels, as MPSNNGramMatrixCalculation.

    With C channels the result has C columns, one row and C channels: alpha * sum of x[f] * x[c] in column f, channel c.
    It is written whole, and `offset` must be (0, 0, z).
    """

    alpha: Number
    def __init__(self, alpha: float = 1.0, **properties: Unpack[UnaryProperties]) -> None: ...

class LocalContrastNormalization(DifferentiableKernel):
    """pm + ps (x - p0 mean) / (delta + alpha * variance)^beta, as MPSCNNLocalContrastNormalization.

    Mean and variance over the window divide by kernel_width * kernel_height everywhere.
    """

    kernel_width: Integer
    kernel_height: Integer
    alpha: Number
    beta: Number
    delta: Number
    p0: Number
    pm: Number
    ps: Number
    def __init__(
        self,
        kernel_width: int,
        kernel_height: int,
        **properties: Unpack[LocalContrastNormalizationProperties],
    ) -> None: ...

class SpatialNormalization(DifferentiableKernel):
    """x / (delta + alpha * mean of x^2 over the window)^beta, as MPSCNNSpatialNormalization.

    The mean divides by kernel_width * kernel_height everywhere.
    """

    kernel_width: Integer
    kernel_height: Integer
    alpha: Number
    beta: Number
    delta: Number
    def __init__(
        self, kernel_width: int, kernel_height: int, **properties: Unpack[CrossChannelNormalizationProperties]
    ) -> None: ...

class Reshape(DifferentiableKernel):
    """Arrange the elements of each image, in `[height][width][channel]` order, in another shape, as MPSNNReshape.

    The whole source is read and the whole result written; `offset` must be (0, 0, z).
    """

    reshaped_width: Integer
    reshaped_height: Integer
    reshaped_feature_channels: Integer
    def __init__(
        self,
        reshaped_width: int,
        reshaped_height: int,
        reshaped_feature_channels: int,
        **properties: Unpack[UnaryProperties],
    ) -> None: ...

class Pad(DifferentiableKernel):
    """Add a border around an image and its channels, as MPSNNPad.

    `edge_mode` is the content of the border: 'zero', 'clamp' (the nearest pixel), 'mirror' and 'mirror_with_edge'
    (reflections, as often as needed, the border pixel once or twice) or 'constant'. With a destination given, rows and
    columns follow from `offset` (minus what lies before) and from what is written; channels are always those of the
    padding sizes. `source_feature_channel_offset` need not be a multiple of 4.
    """

    fill_value_array: Numbers
    padding_size_before: Size
    padding_size_after: Size
    fill_value: Number
    def __init__(
        self,
        padding_size_before: tuple[int, int, int] = (0, 0, 0),
        padding_size_after: tuple[int, int, int] = (0, 0, 0),
        **properties: Unpack[PadProperties],
    ) -> None: ...

class CrossChannelNormalizationGradient(GradientKernel):
    """Compute the gradient of a cross-channel normalization's source, as MPSCNNCrossChannelNormalizationGradient."""

    kernel_size: Integer
    alpha: Number
    beta: Number
    delta: Number
    def __init__(
        self, kernel_size: int = 5, **properties: Unpack[CrossChannelNormalizationGradientProperties]
    ) -> None: ...

class GramMatrixCalculationGradient(GradientKernel):
    """alpha * sum over f of (g[f, c] + g[c, f]) * x[f] for each pixel, as MPSNNGramMatrixCalculationGradient.

    g[f, c] is the gradient of column f, channel c. It is read whole; all offsets must be 0.
    """

    alpha: Number
    def __init__(self, alpha: float = 1.0, **properties: Unpack[GradientProperties]) -> None: ...

class LocalContrastNormalizationGradient(GradientKernel):
    """Compute the gradient of a local contrast normalization's source, as MPSCNNLocalContrastNormalizationGradient."""

    kernel_width: Integer
    kernel_height: Integer
    alpha: Number
    beta: Number
    delta: Number
    p0: Number
    pm: Number
    ps: Number
    def __init__(
        self,
        kernel_width: int,
        kernel_height: int,
        **properties: Unpack[LocalContrastNormalizationGradientProperties],
    ) -> None: ...

class SpatialNormalizationGradient(GradientKernel):
    """Compute the gradient of a spatial normalization's source, as MPSCNNSpatialNormalizationGradient."""

    kernel_width: Integer
    kernel_height: Integer
    alpha: Number
    beta: Number
    delta: Number
    def __init__(
        self,
        kernel_width: int,
        kernel_height: int,
        **properties: Unpack[CrossChannelNormalizationGradientProperties],
    ) -> None: ...

class PadGradient(GradientKernel):
    """Add the gradient of the border to the pixels that it was copied from, as MPSNNPadGradient.

    With the `secondary_edge_mode` 'clamp', 'mirror' and 'mirror_with_edge', the border repeats pixels: its gradients
    are added to the gradients of these pixels. Gradients of other borders are dropped. A state of the `Pad` sets the
    padding sizes; without one rows and columns before the source are `kernel_offset_x` and `kernel_offset_y`.
    """

    padding_size_before: Size
    padding_size_after: Size
    def __init__(self, **properties: Unpack[PadGradientProperties]) -> None: ...

class DropoutGradient(GradientKernel):
    """Compute the gradient of a `Dropout`: that of each kept element divided by the probability, otherwise 0.

    Takes what the forward kernel takes: the same seed has the same mask.

    Apple's class is MPSCNNDropoutGradient.
    """

    keep_probability: Number
    seed: Integer
    mask_stride_in_pixels: Size
    def __init__(
        self, keep_probability: float = 0.999, seed: int = 0, **properties: Unpack[DropoutGradientProperties]
    ) -> None: ...

class ImageBilinearScale(ImageScale):
    """Bilinear interpolation between pixel centres without antialiasing, as MPSImageBilinearScale."""

class ImageLanczosScale(ImageScale):
    """Lanczos' filter with three lobes, as MPSImageLanczosScale. Apple does not state the formula of its class.

    At a position p of the source the result is the sum of the pixels i by the weights L((i - p) / s), divided by their
    sum, L(t) = sinc(t) sinc(t / 3) for |t| < 3, along both axes. s is 1, or where the image becomes smaller the source
    pixels for one of the result, so that a smaller image needs no blur before.
    """

class NeuronAbsolute(Neuron):
    """|x|, as MPSCNNNeuronAbsolute."""
    def __init__(self, **properties: Unpack[UnaryProperties]) -> None: ...

class NeuronELU(Neuron):
    """For x >= 0 x, else a (e^x - 1), as MPSCNNNeuronELU."""
    def __init__(self, a: float = 1.0, **properties: Unpack[UnaryProperties]) -> None: ...

class NeuronExponential(Neuron):
    """c^(a x + b), c = -1 meaning e, as MPSCNNNeuronExponential."""
    def __init__(
        self, a: float = 1.0, b: float = 0.0, c: float = -1.0, **properties: Unpack[UnaryProperties]
    ) -> None: ...

class NeuronHardSigmoid(Neuron):
    """The line a x + b limited to 0 to 1, as MPSCNNNeuronHardSigmoid."""
    def __init__(self, a: float = 0.2, b: float = 0.5, **properties: Unpack[UnaryProperties]) -> None: ...

class NeuronLinear(Neuron):
    """The line a x + b, as MPSCNNNeuronLinear."""
    def __init__(self, a: float = 1.0, b: float = 0.0, **properties: Unpack[UnaryProperties]) -> None: ...

class NeuronLogarithm(Neuron):
    """log_c(a x + b), c = -1 meaning e, as MPSCNNNeuronLogarithm."""
    def __init__(
        self, a: float = 1.0, b: float = 0.0, c: float = -1.0, **properties: Unpack[UnaryProperties]
    ) -> None: ...

class NeuronPReLU(Neuron):
    """For x >= 0 x, else a[channel] x, as MPSCNNNeuronPReLU."""
    def __init__(self, a: Any, **properties: Unpack[UnaryProperties]) -> None: ...

class NeuronPower(Neuron):
    """(a x + b)^c, as MPSCNNNeuronPower."""
    def __init__(
        self, a: float = 1.0, b: float = 0.0, c: float = 1.0, **properties: Unpack[UnaryProperties]
    ) -> None: ...

class NeuronReLU(Neuron):
    """For x >= 0 x, else a x, as MPSCNNNeuronReLU."""
    def __init__(self, a: float = 0.0, **properties: Unpack[UnaryProperties]) -> None: ...

class NeuronReLUN(Neuron):
    """min(x for x >= 0, else a x; b), as MPSCNNNeuronReLUN. ReLU6 is a = 0, b = 6; Apple's a is 1 unless given."""
    def __init__(self, a: float = 1.0, b: float = 6.0, **properties: Unpack[UnaryProperties]) -> None: ...

class NeuronSigmoid(Neuron):
    """1 / (1 + e^-x), as MPSCNNNeuronSigmoid."""
    def __init__(self, **properties: Unpack[UnaryProperties]) -> None: ...

class NeuronSoftPlus(Neuron):
    """The curve a ln(1 + e^(b x)), as MPSCNNNeuronSoftPlus."""
    def __init__(self, a: float = 1.0, b: float = 1.0, **properties: Unpack[UnaryProperties]) -> None: ...

class NeuronSoftSign(Neuron):
    """The quotient x / (1 + |x|), as MPSCNNNeuronSoftSign."""
    def __init__(self, **properties: Unpack[UnaryProperties]) -> None: ...

class NeuronTanH(Neuron):
    """The curve a tanh(b x), as MPSCNNNeuronTanH."""
    def __init__(self, a: float = 1.0, b: float = 1.0, **properties: Unpack[UnaryProperties]) -> None: ...

class PoolingMax(Pooling):
    """Compute the maximum of each window, as MPSCNNPoolingMax.

    With edge_mode 'zero' the zeros outside take part: frameworks' max pooling is 'clamp'.
    """

class PoolingAverage(Pooling):
    """Compute the mean of each window, as MPSCNNPoolingAverage.

    With edge_mode 'zero' the divisor is kernel_width * kernel_height; with 'clamp' it counts the pixels of the window
    that lie in the image and in the zero_pad_size_x columns and zero_pad_size_y rows of zeros around it.
    """

    zero_pad_size_x: Integer
    zero_pad_size_y: Integer
    def __init__(
        self,
        kernel_width: int,
        kernel_height: int,
        *,
        stride_x: int = 1,
        stride_y: int = 1,
        **properties: Unpack[PoolingAverageProperties],
    ) -> None: ...

class PoolingL2Norm(Pooling):
    """Compute the square root of the sum of squares of each window, as MPSCNNPoolingL2Norm.

    With edge_mode 'clamp' what lies outside reads as the nearest pixel; Apple does not document this case.
    """

class DilatedPoolingMax(Pooling):
    """Compute the maximum of each window whose taps lie dilation_rate pixels apart, as MPSCNNDilatedPoolingMax."""

    dilation_rate_x: Integer
    dilation_rate_y: Integer
    def __init__(
        self,
        kernel_width: int,
        kernel_height: int,
        dilation_rate_x: int,
        dilation_rate_y: int,
        *,
        stride_x: int = 1,
        stride_y: int = 1,
        **properties: Unpack[UnaryProperties],
    ) -> None: ...

class PoolingMaxGradient(PoolingGradient):
    """Add the gradient to the maximum of each window, the first of equal ones, as MPSCNNPoolingMaxGradient.

    If a zero outside the image is the maximum, the gradient is dropped.
    """

class PoolingAverageGradient(PoolingGradient):
    """Distribute the gradient to all pixels of each window, divided like the mean, as MPSCNNPoolingAverageGradient."""

    zero_pad_size_x: Integer
    zero_pad_size_y: Integer
    def __init__(
        self,
        kernel_width: int,
        kernel_height: int,
        *,
        stride_x: int = 1,
        stride_y: int = 1,
        **properties: Unpack[PoolingAverageGradientProperties],
    ) -> None: ...

class PoolingL2NormGradient(PoolingGradient):
    """Multiply the gradient by pixel / norm of each window, 0 where the norm is 0, as MPSCNNPoolingL2NormGradient."""

class DilatedPoolingMaxGradient(PoolingGradient):
    """Compute the gradient of a `DilatedPoolingMax`, like `PoolingMaxGradient`, as MPSCNNDilatedPoolingMaxGradient."""

    dilation_rate_x: Integer
    dilation_rate_y: Integer
    def __init__(
        self,
        kernel_width: int,
        kernel_height: int,
        dilation_rate_x: int,
        dilation_rate_y: int,
        *,
        stride_x: int = 1,
        stride_y: int = 1,
        **properties: Unpack[PoolingGradientProperties],
    ) -> None: ...

class ReduceRowMax(ReduceUnary):
    """Compute the maximum of each row: the result is one pixel wide, as MPSNNReduceRowMax."""

class ReduceRowMin(ReduceUnary):
    """Compute the minimum of each row: the result is one pixel wide, as MPSNNReduceRowMin."""

class ReduceRowSum(ReduceUnary):
    """Compute the sum of each row: the result is one pixel wide, as MPSNNReduceRowSum."""

class ReduceRowMean(ReduceUnary):
    """Compute the mean of each row: the result is one pixel wide, as MPSNNReduceRowMean."""

class ReduceColumnMax(ReduceUnary):
    """Compute the maximum of each column: the result is one pixel high, as MPSNNReduceColumnMax."""

class ReduceColumnMin(ReduceUnary):
    """Compute the minimum of each column: the result is one pixel high, as MPSNNReduceColumnMin."""

class ReduceColumnSum(ReduceUnary):
    """Compute the sum of each column: the result is one pixel high, as MPSNNReduceColumnSum."""

class ReduceColumnMean(ReduceUnary):
    """Compute the mean of each column: the result is one pixel high, as MPSNNReduceColumnMean."""

class ReduceFeatureChannelsMax(ReduceUnary):
    """Compute the maximum of the feature channels of each pixel: the result has one channel.

    Apple's class is MPSNNReduceFeatureChannelsMax.
    """

class ReduceFeatureChannelsMin(ReduceUnary):
    """Compute the minimum of the feature channels of each pixel: the result has one channel.

    Apple's class is MPSNNReduceFeatureChannelsMin.
    """

class ReduceFeatureChannelsSum(ReduceUnary):
    """Compute the sum of the feature channels of each pixel: the result has one channel.

    Apple's class is MPSNNReduceFeatureChannelsSum.
    """

    weight: Number
    def __init__(self, **properties: Unpack[ReduceFeatureChannelsSumProperties]) -> None: ...

class ReduceFeatureChannelsMean(ReduceUnary):
    """Compute the mean of the feature channels of each pixel: the result has one channel.

    Apple's class is MPSNNReduceFeatureChannelsMean.
    """

class ReduceFeatureChannelsArgumentMax(ReduceUnary):
    """Find the channel with the maximum, the first of equal ones, as MPSNNReduceFeatureChannelsArgumentMax."""

class ReduceFeatureChannelsArgumentMin(ReduceUnary):
    """Find the channel with the minimum, the first of equal ones, as MPSNNReduceFeatureChannelsArgumentMin."""

class ReduceFeatureChannelsAndWeightsMean(ReduceBinary):
    """Compute the weighted mean over the feature channels of each pixel.

    The sum of primary times secondary is divided by the number of weights that are not zero.

    Apple's class is MPSNNReduceFeatureChannelsAndWeightsMean.
    """

class ReduceFeatureChannelsAndWeightsSum(ReduceBinary):
    """Compute the sum over the channels of primary times secondary, as MPSNNReduceFeatureChannelsAndWeightsSum.

    With `do_weighted_sum_by_non_zero_weights` it is divided by the number of weights that are not zero.
    """

    do_weighted_sum_by_non_zero_weights: Flag
    def __init__(
        self, do_weighted_sum_by_non_zero_weights: bool = False, **properties: Unpack[ReduceBinaryProperties]
    ) -> None: ...

class UpsamplingNearest(Upsampling):
    """Repeat every pixel: result[o] = x[floor(o / scale_factor)], as MPSCNNUpsamplingNearest."""

class UpsamplingBilinear(Upsampling):
    """Bilinear interpolation, as MPSCNNUpsamplingBilinear.

    With `align_corners` result[o] = x at o * (n - 1) / (scale_factor * n - 1); otherwise at (o + 0.5) / scale_factor -
    0.5, TensorFlow's and PyTorch's rule. Apple's rule differs between systems.
    """

    align_corners: Flag
    def __init__(
        self, scale_factor_x: int, scale_factor_y: int, **properties: Unpack[ResizeBilinearProperties]
    ) -> None: ...

class UpsamplingNearestGradient(UpsamplingGradient):
    """Compute the sum of the gradients of each pixel's copies, as MPSCNNUpsamplingNearestGradient."""

class UpsamplingBilinearGradient(UpsamplingGradient):
    """Compute the sum of the gradients of all pixels that were sampled from a pixel, each times its weight.

    Apple's class has no `align_corners`.

    Apple's class is MPSCNNUpsamplingBilinearGradient.
    """

    align_corners: Flag
    def __init__(
        self,
        scale_factor_x: int,
        scale_factor_y: int,
        **properties: Unpack[UpsamplingBilinearGradientProperties],
    ) -> None: ...
