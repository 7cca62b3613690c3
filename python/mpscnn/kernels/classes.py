"""Raw kernels that have only properties. `python docs/generate` writes this file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mpscnn.kernels.arithmetic import Arithmetic, ArithmeticKernel
from mpscnn.kernels.arithmetic_gradient import ArithmeticGradient
from mpscnn.kernels.dropout import Dropout
from mpscnn.kernels.families import Pooling, ReduceBinary, ReduceUnary, Upsampling, UpsamplingGradient
from mpscnn.kernels.gradient import DifferentiableKernel, GradientKernel
from mpscnn.kernels.image import ImageScale
from mpscnn.kernels.kernel import BinaryKernel, Kernel, UnaryKernel
from mpscnn.kernels.neuron import Neuron
from mpscnn.kernels.neuron_descriptor import NeuronDescriptor
from mpscnn.kernels.pooling import PoolingGradient
from mpscnn.kernels.properties import Flag, Integer, Number, Numbers, Size, Text

if TYPE_CHECKING:
    from typing_extensions import Unpack

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

    apple_class = "MPSCNNAdd"


class Subtract(Arithmetic):
    """x - y, as MPSCNNSubtract."""

    apple_class = "MPSCNNSubtract"


class Multiply(Arithmetic):
    """x * y, as MPSCNNMultiply."""

    apple_class = "MPSCNNMultiply"


class Divide(Arithmetic):
    """x / y, as MPSCNNDivide."""

    apple_class = "MPSCNNDivide"


class Compare(ArithmeticKernel):
    """1 where x and y compare as `comparison_type` says, else 0, as MPSNNCompare.

    x and y are the sources times their scales. They count as equal if |x - y| <= threshold; the other comparisons have
    no threshold. NaN is not equal to anything, nor less or greater. `bias` and the limits apply to the result.
    """

    apple_class = "MPSNNCompare"

    comparison_type = Text(
        "The comparison of primary and secondary source. One of 'equal', 'not_equal', 'less', "
        "'less_or_equal', 'greater', 'greater_or_equal'."
    )
    threshold = Number("The largest difference of values that count as equal.")

    def __init__(
        self, comparison_type: ComparisonName = "equal", **properties: Unpack[CompareProperties]
    ) -> None:
        Kernel.__init__(self, comparison_type=comparison_type, **properties)


class AddGradient(ArithmeticGradient):
    """scale * g, as MPSCNNAddGradient."""

    apple_class = "MPSCNNAddGradient"
    forward_class = Add


class SubtractGradient(ArithmeticGradient):
    """primary_scale * g, or -secondary_scale * g, as MPSCNNSubtractGradient.

    Apple's class needs primary_scale = -1 for the secondary operand; this one has the sign.
    """

    apple_class = "MPSCNNSubtractGradient"
    forward_class = Subtract


class MultiplyGradient(ArithmeticGradient):
    """primary_scale * secondary_scale * g * the other operand, as MPSCNNMultiplyGradient."""

    apple_class = "MPSCNNMultiplyGradient"
    forward_class = Multiply


class Slice(UnaryKernel):
    """Copy the pixels from `offset` and the channels from `source_feature_channel_offset` on, as MPSNNSlice."""

    apple_class = "MPSNNSlice"


class SoftMax(UnaryKernel):
    """exp(x) / sum(exp(x)) over the feature channels of each pixel, as MPSCNNSoftMax."""

    apple_class = "MPSCNNSoftMax"


class LogSoftMax(UnaryKernel):
    """x - ln(sum(exp(x))) over the feature channels of each pixel, as MPSCNNLogSoftMax."""

    apple_class = "MPSCNNLogSoftMax"


class ResizeBilinear(UnaryKernel):
    """Bilinear interpolation to a given size, as MPSNNResizeBilinear. Otherwise like `UpsamplingBilinear`."""

    apple_class = "MPSNNResizeBilinear"

    resize_width = Integer("Columns of the result.")
    resize_height = Integer("Rows of the result.")
    align_corners = Flag("Whether corner pixels stay corners; otherwise pixel centres are aligned.")

    def __init__(
        self, resize_width: int, resize_height: int, **properties: Unpack[ResizeBilinearProperties]
    ) -> None:
        Kernel.__init__(self, resize_width=resize_width, resize_height=resize_height, **properties)


class SoftMaxGradient(BinaryKernel):
    """y (g - sum(g y)) over the feature channels of each pixel, as MPSCNNSoftMaxGradient.

    The primary source is the gradient g of the result, the secondary source the result y of the `SoftMax` itself, as
    Apple's class wants it.
    """

    apple_class = "MPSCNNSoftMaxGradient"


class LogSoftMaxGradient(BinaryKernel):
    """g - exp(y) sum(g) over the feature channels of each pixel, as MPSCNNLogSoftMaxGradient.

    The primary source is the gradient g of the result, the secondary source the result y of the `LogSoftMax` itself.
    """

    apple_class = "MPSCNNLogSoftMaxGradient"


class CrossChannelNormalization(DifferentiableKernel):
    """x / (delta + alpha / kernel_size * sum of x^2)^beta, as MPSCNNCrossChannelNormalization.

    The sum is over the channels [k - floor(kernel_size / 2), k + floor((kernel_size - 1) / 2)] that exist.
    """

    apple_class = "MPSCNNCrossChannelNormalization"

    kernel_size = Integer("Channels of the window, and the divisor of its sum everywhere.")
    alpha = Number("Factor of the mean square.")
    beta = Number("Exponent.")
    delta = Number("Added to the scaled mean square.")

    def __init__(
        self, kernel_size: int = 5, **properties: Unpack[CrossChannelNormalizationProperties]
    ) -> None:
        Kernel.__init__(self, kernel_size=kernel_size, **properties)


class GramMatrixCalculation(DifferentiableKernel):
    """Compute products of feature channels, summed over all pixels, as MPSNNGramMatrixCalculation.

    With C channels the result has C columns, one row and C channels: alpha * sum of x[f] * x[c] in column f, channel c.
    It is written whole, and `offset` must be (0, 0, z).
    """

    apple_class = "MPSNNGramMatrixCalculation"

    alpha = Number("Factor of the sums.")

    def __init__(self, alpha: float = 1.0, **properties: Unpack[UnaryProperties]) -> None:
        Kernel.__init__(self, alpha=alpha, **properties)


class LocalContrastNormalization(DifferentiableKernel):
    """pm + ps (x - p0 mean) / (delta + alpha * variance)^beta, as MPSCNNLocalContrastNormalization.

    Mean and variance over the window divide by kernel_width * kernel_height everywhere.
    """

    apple_class = "MPSCNNLocalContrastNormalization"

    kernel_width = Integer("Columns of the window; must equal its rows.")
    kernel_height = Integer("Rows of the window.")
    alpha = Number("Factor of the mean square or variance.")
    beta = Number("Exponent.")
    delta = Number("Added to the scaled mean square or variance.")
    p0 = Number("Factor of the mean that is subtracted.")
    pm = Number("Added to the result.")
    ps = Number("Factor of the result.")

    def __init__(
        self,
        kernel_width: int,
        kernel_height: int,
        **properties: Unpack[LocalContrastNormalizationProperties],
    ) -> None:
        Kernel.__init__(self, kernel_width=kernel_width, kernel_height=kernel_height, **properties)


class SpatialNormalization(DifferentiableKernel):
    """x / (delta + alpha * mean of x^2 over the window)^beta, as MPSCNNSpatialNormalization.

    The mean divides by kernel_width * kernel_height everywhere.
    """

    apple_class = "MPSCNNSpatialNormalization"

    kernel_width = Integer("Columns of the window; must equal its rows.")
    kernel_height = Integer("Rows of the window.")
    alpha = Number("Factor of the mean square or variance.")
    beta = Number("Exponent.")
    delta = Number("Added to the scaled mean square or variance.")

    def __init__(
        self, kernel_width: int, kernel_height: int, **properties: Unpack[CrossChannelNormalizationProperties]
    ) -> None:
        Kernel.__init__(self, kernel_width=kernel_width, kernel_height=kernel_height, **properties)


class Reshape(DifferentiableKernel):
    """Arrange the elements of each image, in `[height][width][channel]` order, in another shape, as MPSNNReshape.

    The whole source is read and the whole result written; `offset` must be (0, 0, z).
    """

    apple_class = "MPSNNReshape"

    reshaped_width = Integer("Columns of the result.")
    reshaped_height = Integer("Rows of the result.")
    reshaped_feature_channels = Integer("Feature channels of the result.")

    def __init__(
        self,
        reshaped_width: int,
        reshaped_height: int,
        reshaped_feature_channels: int,
        **properties: Unpack[UnaryProperties],
    ) -> None:
        Kernel.__init__(
            self,
            reshaped_width=reshaped_width,
            reshaped_height=reshaped_height,
            reshaped_feature_channels=reshaped_feature_channels,
            **properties,
        )


class Pad(DifferentiableKernel):
    """Add a border around an image and its channels, as MPSNNPad.

    `edge_mode` is the content of the border: 'zero', 'clamp' (the nearest pixel), 'mirror' and 'mirror_with_edge'
    (reflections, as often as needed, the border pixel once or twice) or 'constant'. With a destination given, rows and
    columns follow from `offset` (minus what lies before) and from what is written; channels are always those of the
    padding sizes. `source_feature_channel_offset` need not be a multiple of 4.
    """

    apple_class = "MPSNNPad"

    fill_value_array = Numbers(
        "Values of the channels written, for edge_mode 'constant'; they override fill_value."
    )
    padding_size_before = Size("(x, y, channels) before the source.")
    padding_size_after = Size("(x, y, channels) behind the source.")
    fill_value = Number("Value of the border with edge_mode 'constant'.")

    def __init__(
        self,
        padding_size_before: tuple[int, int, int] = (0, 0, 0),
        padding_size_after: tuple[int, int, int] = (0, 0, 0),
        **properties: Unpack[PadProperties],
    ) -> None:
        Kernel.__init__(
            self, padding_size_before=padding_size_before, padding_size_after=padding_size_after, **properties
        )


class CrossChannelNormalizationGradient(GradientKernel):
    """Compute the gradient of a cross-channel normalization's source, as MPSCNNCrossChannelNormalizationGradient."""

    apple_class = "MPSCNNCrossChannelNormalizationGradient"
    forward_class = CrossChannelNormalization

    kernel_size = Integer("Channels of the window, and the divisor of its sum everywhere.")
    alpha = Number("Factor of the mean square.")
    beta = Number("Exponent.")
    delta = Number("Added to the scaled mean square.")

    def __init__(
        self, kernel_size: int = 5, **properties: Unpack[CrossChannelNormalizationGradientProperties]
    ) -> None:
        Kernel.__init__(self, kernel_size=kernel_size, **properties)


class GramMatrixCalculationGradient(GradientKernel):
    """alpha * sum over f of (g[f, c] + g[c, f]) * x[f] for each pixel, as MPSNNGramMatrixCalculationGradient.

    g[f, c] is the gradient of column f, channel c. It is read whole; all offsets must be 0.
    """

    apple_class = "MPSNNGramMatrixCalculationGradient"
    forward_class = GramMatrixCalculation

    alpha = Number("Factor of the sums.")

    def __init__(self, alpha: float = 1.0, **properties: Unpack[GradientProperties]) -> None:
        Kernel.__init__(self, alpha=alpha, **properties)


class LocalContrastNormalizationGradient(GradientKernel):
    """Compute the gradient of a local contrast normalization's source, as MPSCNNLocalContrastNormalizationGradient."""

    apple_class = "MPSCNNLocalContrastNormalizationGradient"
    forward_class = LocalContrastNormalization

    kernel_width = Integer("Columns of the window; must equal its rows.")
    kernel_height = Integer("Rows of the window.")
    alpha = Number("Factor of the mean square or variance.")
    beta = Number("Exponent.")
    delta = Number("Added to the scaled mean square or variance.")
    p0 = Number("Factor of the mean that is subtracted.")
    pm = Number("Added to the result.")
    ps = Number("Factor of the result.")

    def __init__(
        self,
        kernel_width: int,
        kernel_height: int,
        **properties: Unpack[LocalContrastNormalizationGradientProperties],
    ) -> None:
        Kernel.__init__(self, kernel_width=kernel_width, kernel_height=kernel_height, **properties)


class SpatialNormalizationGradient(GradientKernel):
    """Compute the gradient of a spatial normalization's source, as MPSCNNSpatialNormalizationGradient."""

    apple_class = "MPSCNNSpatialNormalizationGradient"
    forward_class = SpatialNormalization

    kernel_width = Integer("Columns of the window; must equal its rows.")
    kernel_height = Integer("Rows of the window.")
    alpha = Number("Factor of the mean square or variance.")
    beta = Number("Exponent.")
    delta = Number("Added to the scaled mean square or variance.")

    def __init__(
        self,
        kernel_width: int,
        kernel_height: int,
        **properties: Unpack[CrossChannelNormalizationGradientProperties],
    ) -> None:
        Kernel.__init__(self, kernel_width=kernel_width, kernel_height=kernel_height, **properties)


class PadGradient(GradientKernel):
    """Add the gradient of the border to the pixels that it was copied from, as MPSNNPadGradient.

    With the `secondary_edge_mode` 'clamp', 'mirror' and 'mirror_with_edge', the border repeats pixels: its gradients
    are added to the gradients of these pixels. Gradients of other borders are dropped. A state of the `Pad` sets the
    padding sizes; without one rows and columns before the source are `kernel_offset_x` and `kernel_offset_y`.
    """

    apple_class = "MPSNNPadGradient"
    forward_class = Pad

    padding_size_before = Size("(x, y, channels) before the source.")
    padding_size_after = Size("(x, y, channels) behind the source.")

    if TYPE_CHECKING:

        def __init__(self, **properties: Unpack[PadGradientProperties]) -> None: ...


class DropoutGradient(GradientKernel):
    """Compute the gradient of a `Dropout`: that of each kept element divided by the probability, otherwise 0.

    Takes what the forward kernel takes: the same seed has the same mask.

    Apple's class is MPSCNNDropoutGradient.
    """

    apple_class = "MPSCNNDropoutGradient"
    forward_class = Dropout

    keep_probability = Number("Share of the elements that are kept, above 0, below 1.")
    seed = Integer("Seed of the random numbers: the same seed gives the same mask.")
    mask_stride_in_pixels = Size(
        "(x, y, channels): 1, or 0 where one element of the mask serves the whole axis."
    )

    def __init__(
        self, keep_probability: float = 0.999, seed: int = 0, **properties: Unpack[DropoutGradientProperties]
    ) -> None:
        Kernel.__init__(self, keep_probability=keep_probability, seed=seed, **properties)


class ImageBilinearScale(ImageScale):
    """Bilinear interpolation between pixel centres without antialiasing, as MPSImageBilinearScale."""

    apple_class = "MPSImageBilinearScale"


class ImageLanczosScale(ImageScale):
    """Lanczos' filter with three lobes, as MPSImageLanczosScale. Apple does not state the formula of its class.

    At a position p of the source the result is the sum of the pixels i by the weights L((i - p) / s), divided by their
    sum, L(t) = sinc(t) sinc(t / 3) for |t| < 3, along both axes. s is 1, or where the image becomes smaller the source
    pixels for one of the result, so that a smaller image needs no blur before.
    """

    apple_class = "MPSImageLanczosScale"


class NeuronAbsolute(Neuron):
    """|x|, as MPSCNNNeuronAbsolute."""

    apple_class = "MPSCNNNeuronAbsolute"

    def __init__(self, **properties: Unpack[UnaryProperties]) -> None:
        super().__init__(NeuronDescriptor("absolute"), **properties)


class NeuronELU(Neuron):
    """For x >= 0 x, else a (e^x - 1), as MPSCNNNeuronELU."""

    apple_class = "MPSCNNNeuronELU"

    def __init__(self, a: float = 1.0, **properties: Unpack[UnaryProperties]) -> None:
        super().__init__(NeuronDescriptor("elu", a), **properties)


class NeuronExponential(Neuron):
    """c^(a x + b), c = -1 meaning e, as MPSCNNNeuronExponential."""

    apple_class = "MPSCNNNeuronExponential"

    def __init__(
        self, a: float = 1.0, b: float = 0.0, c: float = -1.0, **properties: Unpack[UnaryProperties]
    ) -> None:
        super().__init__(NeuronDescriptor("exponential", a, b, c), **properties)


class NeuronHardSigmoid(Neuron):
    """The line a x + b limited to 0 to 1, as MPSCNNNeuronHardSigmoid."""

    apple_class = "MPSCNNNeuronHardSigmoid"

    def __init__(self, a: float = 0.2, b: float = 0.5, **properties: Unpack[UnaryProperties]) -> None:
        super().__init__(NeuronDescriptor("hard_sigmoid", a, b), **properties)


class NeuronLinear(Neuron):
    """The line a x + b, as MPSCNNNeuronLinear."""

    apple_class = "MPSCNNNeuronLinear"

    def __init__(self, a: float = 1.0, b: float = 0.0, **properties: Unpack[UnaryProperties]) -> None:
        super().__init__(NeuronDescriptor("linear", a, b), **properties)


class NeuronLogarithm(Neuron):
    """log_c(a x + b), c = -1 meaning e, as MPSCNNNeuronLogarithm."""

    apple_class = "MPSCNNNeuronLogarithm"

    def __init__(
        self, a: float = 1.0, b: float = 0.0, c: float = -1.0, **properties: Unpack[UnaryProperties]
    ) -> None:
        super().__init__(NeuronDescriptor("logarithm", a, b, c), **properties)


class NeuronPReLU(Neuron):
    """For x >= 0 x, else a[channel] x, as MPSCNNNeuronPReLU."""

    apple_class = "MPSCNNNeuronPReLU"

    def __init__(self, a: Any, **properties: Unpack[UnaryProperties]) -> None:
        super().__init__(NeuronDescriptor("prelu", data=a), **properties)


class NeuronPower(Neuron):
    """(a x + b)^c, as MPSCNNNeuronPower."""

    apple_class = "MPSCNNNeuronPower"

    def __init__(
        self, a: float = 1.0, b: float = 0.0, c: float = 1.0, **properties: Unpack[UnaryProperties]
    ) -> None:
        super().__init__(NeuronDescriptor("power", a, b, c), **properties)


class NeuronReLU(Neuron):
    """For x >= 0 x, else a x, as MPSCNNNeuronReLU."""

    apple_class = "MPSCNNNeuronReLU"

    def __init__(self, a: float = 0.0, **properties: Unpack[UnaryProperties]) -> None:
        super().__init__(NeuronDescriptor("relu", a), **properties)


class NeuronReLUN(Neuron):
    """min(x for x >= 0, else a x; b), as MPSCNNNeuronReLUN. ReLU6 is a = 0, b = 6; Apple's a is 1 unless given."""

    apple_class = "MPSCNNNeuronReLUN"

    def __init__(self, a: float = 1.0, b: float = 6.0, **properties: Unpack[UnaryProperties]) -> None:
        super().__init__(NeuronDescriptor("relun", a, b), **properties)


class NeuronSigmoid(Neuron):
    """1 / (1 + e^-x), as MPSCNNNeuronSigmoid."""

    apple_class = "MPSCNNNeuronSigmoid"

    def __init__(self, **properties: Unpack[UnaryProperties]) -> None:
        super().__init__(NeuronDescriptor("sigmoid"), **properties)


class NeuronSoftPlus(Neuron):
    """The curve a ln(1 + e^(b x)), as MPSCNNNeuronSoftPlus."""

    apple_class = "MPSCNNNeuronSoftPlus"

    def __init__(self, a: float = 1.0, b: float = 1.0, **properties: Unpack[UnaryProperties]) -> None:
        super().__init__(NeuronDescriptor("softplus", a, b), **properties)


class NeuronSoftSign(Neuron):
    """The quotient x / (1 + |x|), as MPSCNNNeuronSoftSign."""

    apple_class = "MPSCNNNeuronSoftSign"

    def __init__(self, **properties: Unpack[UnaryProperties]) -> None:
        super().__init__(NeuronDescriptor("softsign"), **properties)


class NeuronTanH(Neuron):
    """The curve a tanh(b x), as MPSCNNNeuronTanH."""

    apple_class = "MPSCNNNeuronTanH"

    def __init__(self, a: float = 1.0, b: float = 1.0, **properties: Unpack[UnaryProperties]) -> None:
        super().__init__(NeuronDescriptor("tanh", a, b), **properties)


class PoolingMax(Pooling):
    """Compute the maximum of each window, as MPSCNNPoolingMax.

    With edge_mode 'zero' the zeros outside take part: frameworks' max pooling is 'clamp'.
    """

    apple_class = "MPSCNNPoolingMax"


class PoolingAverage(Pooling):
    """Compute the mean of each window, as MPSCNNPoolingAverage.

    With edge_mode 'zero' the divisor is kernel_width * kernel_height; with 'clamp' it counts the pixels of the window
    that lie in the image and in the zero_pad_size_x columns and zero_pad_size_y rows of zeros around it.
    """

    apple_class = "MPSCNNPoolingAverage"

    zero_pad_size_x = Integer(
        "Columns of zeros left and right of the image that count; edge_mode 'clamp' only."
    )
    zero_pad_size_y = Integer("Rows of zeros above and below the image that count; edge_mode 'clamp' only.")

    if TYPE_CHECKING:

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

    apple_class = "MPSCNNPoolingL2Norm"


class DilatedPoolingMax(Pooling):
    """Compute the maximum of each window whose taps lie dilation_rate pixels apart, as MPSCNNDilatedPoolingMax."""

    apple_class = "MPSCNNDilatedPoolingMax"

    dilation_rate_x = Integer("Source columns between taps.")
    dilation_rate_y = Integer("Source rows between taps.")

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
    ) -> None:
        Kernel.__init__(
            self,
            kernel_width=kernel_width,
            kernel_height=kernel_height,
            dilation_rate_x=dilation_rate_x,
            dilation_rate_y=dilation_rate_y,
            stride_x=stride_x,
            stride_y=stride_y,
            **properties,
        )


class PoolingMaxGradient(PoolingGradient):
    """Add the gradient to the maximum of each window, the first of equal ones, as MPSCNNPoolingMaxGradient.

    If a zero outside the image is the maximum, the gradient is dropped.
    """

    apple_class = "MPSCNNPoolingMaxGradient"
    forward_class = PoolingMax


class PoolingAverageGradient(PoolingGradient):
    """Distribute the gradient to all pixels of each window, divided like the mean, as MPSCNNPoolingAverageGradient."""

    apple_class = "MPSCNNPoolingAverageGradient"
    forward_class = PoolingAverage

    zero_pad_size_x = Integer(
        "Columns of zeros left and right of the image that count; edge_mode 'clamp' only."
    )
    zero_pad_size_y = Integer("Rows of zeros above and below the image that count; edge_mode 'clamp' only.")

    if TYPE_CHECKING:

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

    apple_class = "MPSCNNPoolingL2NormGradient"
    forward_class = PoolingL2Norm


class DilatedPoolingMaxGradient(PoolingGradient):
    """Compute the gradient of a `DilatedPoolingMax`, like `PoolingMaxGradient`, as MPSCNNDilatedPoolingMaxGradient."""

    apple_class = "MPSCNNDilatedPoolingMaxGradient"
    forward_class = DilatedPoolingMax

    dilation_rate_x = Integer("Source columns between taps.")
    dilation_rate_y = Integer("Source rows between taps.")

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
    ) -> None:
        Kernel.__init__(
            self,
            kernel_width=kernel_width,
            kernel_height=kernel_height,
            dilation_rate_x=dilation_rate_x,
            dilation_rate_y=dilation_rate_y,
            stride_x=stride_x,
            stride_y=stride_y,
            **properties,
        )


class ReduceRowMax(ReduceUnary):
    """Compute the maximum of each row: the result is one pixel wide, as MPSNNReduceRowMax."""

    apple_class = "MPSNNReduceRowMax"


class ReduceRowMin(ReduceUnary):
    """Compute the minimum of each row: the result is one pixel wide, as MPSNNReduceRowMin."""

    apple_class = "MPSNNReduceRowMin"


class ReduceRowSum(ReduceUnary):
    """Compute the sum of each row: the result is one pixel wide, as MPSNNReduceRowSum."""

    apple_class = "MPSNNReduceRowSum"


class ReduceRowMean(ReduceUnary):
    """Compute the mean of each row: the result is one pixel wide, as MPSNNReduceRowMean."""

    apple_class = "MPSNNReduceRowMean"


class ReduceColumnMax(ReduceUnary):
    """Compute the maximum of each column: the result is one pixel high, as MPSNNReduceColumnMax."""

    apple_class = "MPSNNReduceColumnMax"


class ReduceColumnMin(ReduceUnary):
    """Compute the minimum of each column: the result is one pixel high, as MPSNNReduceColumnMin."""

    apple_class = "MPSNNReduceColumnMin"


class ReduceColumnSum(ReduceUnary):
    """Compute the sum of each column: the result is one pixel high, as MPSNNReduceColumnSum."""

    apple_class = "MPSNNReduceColumnSum"


class ReduceColumnMean(ReduceUnary):
    """Compute the mean of each column: the result is one pixel high, as MPSNNReduceColumnMean."""

    apple_class = "MPSNNReduceColumnMean"


class ReduceFeatureChannelsMax(ReduceUnary):
    """Compute the maximum of the feature channels of each pixel: the result has one channel.

    Apple's class is MPSNNReduceFeatureChannelsMax.
    """

    apple_class = "MPSNNReduceFeatureChannelsMax"


class ReduceFeatureChannelsMin(ReduceUnary):
    """Compute the minimum of the feature channels of each pixel: the result has one channel.

    Apple's class is MPSNNReduceFeatureChannelsMin.
    """

    apple_class = "MPSNNReduceFeatureChannelsMin"


class ReduceFeatureChannelsSum(ReduceUnary):
    """Compute the sum of the feature channels of each pixel: the result has one channel.

    Apple's class is MPSNNReduceFeatureChannelsSum.
    """

    apple_class = "MPSNNReduceFeatureChannelsSum"

    weight = Number("Factor of every feature channel.")

    if TYPE_CHECKING:

        def __init__(self, **properties: Unpack[ReduceFeatureChannelsSumProperties]) -> None: ...


class ReduceFeatureChannelsMean(ReduceUnary):
    """Compute the mean of the feature channels of each pixel: the result has one channel.

    Apple's class is MPSNNReduceFeatureChannelsMean.
    """

    apple_class = "MPSNNReduceFeatureChannelsMean"


class ReduceFeatureChannelsArgumentMax(ReduceUnary):
    """Find the channel with the maximum, the first of equal ones, as MPSNNReduceFeatureChannelsArgumentMax."""

    apple_class = "MPSNNReduceFeatureChannelsArgumentMax"


class ReduceFeatureChannelsArgumentMin(ReduceUnary):
    """Find the channel with the minimum, the first of equal ones, as MPSNNReduceFeatureChannelsArgumentMin."""

    apple_class = "MPSNNReduceFeatureChannelsArgumentMin"


class ReduceFeatureChannelsAndWeightsMean(ReduceBinary):
    """Compute the weighted mean over the feature channels of each pixel.

    The sum of primary times secondary is divided by the number of weights that are not zero.

    Apple's class is MPSNNReduceFeatureChannelsAndWeightsMean.
    """

    apple_class = "MPSNNReduceFeatureChannelsAndWeightsMean"


class ReduceFeatureChannelsAndWeightsSum(ReduceBinary):
    """Compute the sum over the channels of primary times secondary, as MPSNNReduceFeatureChannelsAndWeightsSum.

    With `do_weighted_sum_by_non_zero_weights` it is divided by the number of weights that are not zero.
    """

    apple_class = "MPSNNReduceFeatureChannelsAndWeightsSum"

    do_weighted_sum_by_non_zero_weights = Flag(
        "Whether the sum is divided by the number of weights that are not zero."
    )

    def __init__(
        self, do_weighted_sum_by_non_zero_weights: bool = False, **properties: Unpack[ReduceBinaryProperties]
    ) -> None:
        Kernel.__init__(
            self, do_weighted_sum_by_non_zero_weights=do_weighted_sum_by_non_zero_weights, **properties
        )


class UpsamplingNearest(Upsampling):
    """Repeat every pixel: result[o] = x[floor(o / scale_factor)], as MPSCNNUpsamplingNearest."""

    apple_class = "MPSCNNUpsamplingNearest"


class UpsamplingBilinear(Upsampling):
    """Bilinear interpolation, as MPSCNNUpsamplingBilinear.

    With `align_corners` result[o] = x at o * (n - 1) / (scale_factor * n - 1); otherwise at (o + 0.5) / scale_factor -
    0.5, TensorFlow's and PyTorch's rule. Apple's rule differs between systems.
    """

    apple_class = "MPSCNNUpsamplingBilinear"

    align_corners = Flag("Whether corner pixels stay corners; otherwise pixel centres are aligned.")

    if TYPE_CHECKING:

        def __init__(
            self, scale_factor_x: int, scale_factor_y: int, **properties: Unpack[ResizeBilinearProperties]
        ) -> None: ...


class UpsamplingNearestGradient(UpsamplingGradient):
    """Compute the sum of the gradients of each pixel's copies, as MPSCNNUpsamplingNearestGradient."""

    apple_class = "MPSCNNUpsamplingNearestGradient"
    forward_class = UpsamplingNearest


class UpsamplingBilinearGradient(UpsamplingGradient):
    """Compute the sum of the gradients of all pixels that were sampled from a pixel, each times its weight.

    Apple's class has no `align_corners`.

    Apple's class is MPSCNNUpsamplingBilinearGradient.
    """

    apple_class = "MPSCNNUpsamplingBilinearGradient"
    forward_class = UpsamplingBilinear

    align_corners = Flag("Whether corner pixels stay corners; otherwise pixel centres are aligned.")

    if TYPE_CHECKING:

        def __init__(
            self,
            scale_factor_x: int,
            scale_factor_y: int,
            **properties: Unpack[UpsamplingBilinearGradientProperties],
        ) -> None: ...
