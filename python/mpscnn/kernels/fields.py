"""The properties of raw kernels. `python docs/generate` writes this file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mpscnn.kernels.named_fields import NamedFields
from mpscnn.kernels.properties import (
    ClipRect,
    Descriptor,
    Flag,
    Integer,
    Number,
    Numbers,
    Offset,
    Padding,
    PropertyOwner,
    Size,
    Text,
)
from mpscnn.kernels.scale_transform import Transform

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from mpscnn.kernels.named import (
        AlphaName,
        ArithmeticKernelProperties,
        BatchNormalizationGradientProperties,
        ColorSpaceName,
        DropoutProperties,
        GradientProperties,
        ImageScaleProperties,
        PoolingGradientProperties,
        ReduceBinaryProperties,
        ReduceUnaryProperties,
        UnaryProperties,
    )
    from mpscnn.kernels.neuron_descriptor import NeuronDescriptor


class KernelFields(PropertyOwner):
    """Properties of `Kernel`."""

    label = Text("A name for messages.")


class PlacedKernelFields(PropertyOwner):
    """Properties of `PlacedKernel`."""

    clip_rect = ClipRect(
        "(x, y, z, width, height, depth), or (x, y, width, height) of all images: part of the destination "
        "that may be written; None: all of it."
    )
    destination_feature_channel_offset = Integer("First feature channel written, a multiple of 4.")
    padding = Padding("Size and place of results that the kernel makes itself (MPSNNPaddingMethod).")


class UnaryKernelFields(PropertyOwner):
    """Properties of `UnaryKernel`."""

    offset = Offset(
        "(x, y, z): position in the source of the first pixel written, for a kernel with a window of its "
        "centre tap; z is the first image."
    )
    edge_mode = Text(
        "Value of reads outside the source: 'zero' or 'clamp' (the nearest pixel); Pad has more modes."
    )
    source_feature_channel_offset = Integer("First feature channel read, a multiple of 4.")
    source_feature_channel_max_count = Integer("Maximum number of feature channels read.")


class BinaryKernelFields(PropertyOwner):
    """Properties of `BinaryKernel`."""

    primary_offset = Offset("(x, y, z): position in the primary source of the first pixel written.")
    primary_edge_mode = Text("Value of reads outside the primary source: 'zero' or 'clamp'.")
    primary_source_feature_channel_offset = Integer(
        "First feature channel read of the primary source, a multiple of 4."
    )
    primary_source_feature_channel_max_count = Integer(
        "Maximum number of feature channels read of the primary source."
    )
    secondary_offset = Offset("(x, y, z): position in the secondary source of the first pixel written.")
    secondary_edge_mode = Text("Value of reads outside the secondary source: 'zero' or 'clamp'.")
    secondary_source_feature_channel_offset = Integer(
        "First feature channel read of the secondary source, a multiple of 4."
    )
    secondary_source_feature_channel_max_count = Integer(
        "Maximum number of feature channels read of the secondary source."
    )


class GradientKernelFields(PropertyOwner):
    """Properties of `GradientKernel`."""

    kernel_offset_x = Integer(
        "Columns by which the window is moved over the gradient with stride - 1 zeros between its pixels."
    )
    kernel_offset_y = Integer("Rows by which the window is moved in the same way.")
    gradient_of = Text("'source', or the weight whose gradient is the result.")


class ArithmeticKernelFields(PropertyOwner):
    """Properties of `ArithmeticKernel`."""

    primary_scale = Number("Factor of the primary source.")
    secondary_scale = Number("Factor of the secondary source.")
    bias = Number("Added to the result.")
    minimum_value = Number("Lower limit of the result; none unless given.")
    maximum_value = Number("Upper limit of the result; none unless given.")
    primary_stride_x = Integer("Step in columns through the primary source; 0: one column for all.")
    primary_stride_y = Integer("Step in rows through the primary source; 0: one row for all.")
    primary_stride_in_feature_channels = Integer("1, or 0: one channel of the primary source for all.")
    secondary_stride_x = Integer("Step in columns through the secondary source; 0: one column for all.")
    secondary_stride_y = Integer("Step in rows through the secondary source; 0: one row for all.")
    secondary_stride_in_feature_channels = Integer("1, or 0: one channel of the secondary source for all.")

    def __init__(self, **properties: Unpack[ArithmeticKernelProperties]) -> None:
        super().__init__(**properties)


class ArithmeticGradientFields(PropertyOwner):
    """Properties of `ArithmeticGradient`."""

    is_secondary_source_filter = Flag("Whether the gradient is that of the secondary source.")

    def __init__(
        self, is_secondary_source_filter: bool = False, **properties: Unpack[ArithmeticKernelProperties]
    ) -> None:
        super().__init__(is_secondary_source_filter=is_secondary_source_filter, **properties)


class BatchNormalizationGradientFields(PropertyOwner):
    """Properties of `BatchNormalizationGradient`."""

    number_of_feature_channels = Integer("Feature channels of the source.")
    fused_neuron_descriptor = Descriptor("Neuron applied to the result.")
    epsilon = Number("Added to the variance, above zero.")

    def __init__(
        self,
        number_of_feature_channels: int,
        *,
        fused_neuron_descriptor: NeuronDescriptor | None = None,
        **properties: Unpack[BatchNormalizationGradientProperties],
    ) -> None:
        super().__init__(
            number_of_feature_channels=number_of_feature_channels,
            fused_neuron_descriptor=fused_neuron_descriptor,
            **properties,
        )


class BinaryConvolutionFields(PropertyOwner):
    """Properties of `BinaryConvolution`."""

    kernel_width = Integer("Columns of the filter.")
    kernel_height = Integer("Rows of the filter.")
    input_feature_channels = Integer("Feature channels of the source.")
    output_feature_channels = Integer("Number of filters.")
    stride_x = Integer("Source columns between destination columns.")
    stride_y = Integer("Source rows between destination rows.")
    dilation_rate_x = Integer("Source columns between taps.")
    dilation_rate_y = Integer("Source rows between taps.")
    type = Text("'binary_weights' (real inputs), 'xnor' (signs of inputs) or 'and' (bits of inputs).")
    use_beta_scaling = Flag(
        "Whether results are multiplied by the mean magnitude of the source in the window."
    )
    fused_neuron_descriptor = Descriptor("Neuron applied to the result.")


class ConvolutionFields(PropertyOwner):
    """Properties of `Convolution`."""

    kernel_width = Integer("Columns of the filter.")
    kernel_height = Integer("Rows of the filter.")
    input_feature_channels = Integer("Feature channels of the source.")
    output_feature_channels = Integer("Number of filters.")
    stride_x = Integer("Source columns between destination columns.")
    stride_y = Integer("Source rows between destination rows.")
    dilation_rate_x = Integer("Source columns between taps.")
    dilation_rate_y = Integer("Source rows between taps.")
    groups = Integer(
        "Independent groups of channels; each has a multiple of 4 source and destination channels."
    )
    depthwise = Flag(
        "Whether each source channel is convolved on its own (MPSCNNDepthWiseConvolutionDescriptor)."
    )
    sub_pixel_scale_factor = Integer(
        "Factor by which channels become rows and columns (MPSCNNSubPixelConvolutionDescriptor)."
    )
    fused_neuron_descriptor = Descriptor("Neuron applied to the result.")
    batch_normalization = Flag(
        "Whether there are weights mean, variance, gamma and beta, applied before the neuron."
    )
    batch_normalization_epsilon = Number("Added to the variance, above zero.")


class ConvolutionTransposeFields(PropertyOwner):
    """Properties of `ConvolutionTranspose`."""

    kernel_width = Integer("Columns of the filter.")
    kernel_height = Integer("Rows of the filter.")
    input_feature_channels = Integer("Feature channels of the source.")
    output_feature_channels = Integer("Number of filters.")
    stride_x = Integer("Destination columns between source columns.")
    stride_y = Integer("Destination rows between source rows.")
    dilation_rate_x = Integer("Destination columns between taps.")
    dilation_rate_y = Integer("Destination rows between taps.")
    groups = Integer("Independent groups of channels.")
    fused_neuron_descriptor = Descriptor("Neuron applied to the result.")
    kernel_offset_x = Integer("Destination columns by which the window is moved.")
    kernel_offset_y = Integer("Destination rows by which the window is moved.")


class DropoutFields(PropertyOwner):
    """Properties of `Dropout`."""

    keep_probability = Number("Share of the elements that are kept, above 0, below 1.")
    seed = Integer("Seed of the random numbers: the same seed gives the same mask.")
    mask_stride_in_pixels = Size(
        "(x, y, channels): 1, or 0 where one element of the mask serves the whole axis."
    )

    def __init__(
        self, keep_probability: float = 0.999, seed: int = 0, **properties: Unpack[DropoutProperties]
    ) -> None:
        super().__init__(keep_probability=keep_probability, seed=seed, **properties)


class FullyConnectedFields(PropertyOwner):
    """Properties of `FullyConnected`."""

    kernel_width = Integer("Width of the source.")
    kernel_height = Integer("Height of the source.")
    input_feature_channels = Integer("Feature channels of the source.")
    output_feature_channels = Integer("Number of results.")
    fused_neuron_descriptor = Descriptor("Neuron applied to the result.")


class ImageConversionFields(PropertyOwner):
    """Properties of `ImageConversion`."""

    source_alpha = Text(
        "Meaning of the source's alpha, and whether its colours are multiplied by it. One of "
        "'non_premultiplied', 'alpha_is_one', 'premultiplied'."
    )
    destination_alpha = Text(
        "The same of the destination. One of 'non_premultiplied', 'alpha_is_one', 'premultiplied'."
    )
    background_color = Numbers(
        "Behind the source where its alpha becomes one: in its colour space, a number for each colour "
        "channel; none: zeros."
    )
    source_color_space = Text(
        "Colour space of the source; none: colours are not converted. One of 'none', 'srgb', 'linear_srgb', "
        "'gray_gamma_2_2', 'linear_gray'."
    )
    destination_color_space = Text(
        "Colour space of the destination, if the source has one. One of 'none', 'srgb', 'linear_srgb', "
        "'gray_gamma_2_2', 'linear_gray'."
    )

    def __init__(
        self,
        source_alpha: AlphaName = "alpha_is_one",
        destination_alpha: AlphaName = "alpha_is_one",
        background_color: Sequence[float] = (),
        source_color_space: ColorSpaceName = "none",
        destination_color_space: ColorSpaceName = "none",
        **properties: Unpack[UnaryProperties],
    ) -> None:
        super().__init__(
            source_alpha=source_alpha,
            destination_alpha=destination_alpha,
            background_color=background_color,
            source_color_space=source_color_space,
            destination_color_space=destination_color_space,
            **properties,
        )


class ImageScaleFields(PropertyOwner):
    """Properties of `ImageScale`."""

    scale_transform = Transform(
        "(scale_x, scale_y, translate_x, translate_y) from source to destination positions; None: the whole "
        "source becomes the whole destination."
    )
    resize_width = Integer("Columns of results that the kernel makes; 0: source columns * scale_x.")
    resize_height = Integer("Rows of results that the kernel makes; 0: source rows * scale_y.")

    def __init__(
        self, resize_width: int = 0, resize_height: int = 0, **properties: Unpack[ImageScaleProperties]
    ) -> None:
        super().__init__(resize_width=resize_width, resize_height=resize_height, **properties)


class LossFields(PropertyOwner):
    """Properties of `Loss`."""

    loss_type = Text("How each element's loss is computed.")
    reduction_type = Text(
        "How the losses of the elements are combined. One of 'none', 'sum', 'mean', 'sum_by_nonzero_weights'."
    )
    reduce_across_batch = Flag("Whether there is one loss for all images of a batch, or one for each.")
    weight = Number("Factor of every element.")
    label_smoothing = Number("Share of each label that all classes get, 0 to 1.")
    number_of_classes = Integer("The number of classes that share label_smoothing in softmax_cross_entropy.")
    epsilon = Number("log: added before logarithms.")
    delta = Number("huber: the largest error with a quadratic loss.")


class NeuronFields(PropertyOwner):
    """Properties of `Neuron`."""

    neuron_descriptor = Descriptor("Which function, and its parameters.")
    data_count = Integer("Number of slopes of 'prelu', one for each feature channel.")


class ScaledNormalizationFields(PropertyOwner):
    """Properties of `ScaledNormalization`."""

    number_of_feature_channels = Integer("Feature channels of the source.")
    epsilon = Number("Added to the variance, above zero.")


class BatchNormalizationFields(PropertyOwner):
    """Properties of `BatchNormalization`."""

    fused_neuron_descriptor = Descriptor("Neuron applied to the result.")


class GroupNormalizationFields(PropertyOwner):
    """Properties of `GroupNormalization`."""

    number_of_groups = Integer("Groups of consecutive channels.")


class OptimizerFields(PropertyOwner):
    """Properties of `Optimizer`."""

    result = Text("Which result is computed: 'values' or one of the moments.")
    learning_rate = Number("Size of the step, at least 0.")
    gradient_rescale = Number("Factor of the gradient, once it is clipped.")
    apply_gradient_clipping = Flag("Whether the gradient is limited.")
    gradient_clip_min = Number("Lower limit of the gradient.")
    gradient_clip_max = Number("Upper limit of the gradient.")
    regularization_type = Text("'none', 'l1' or 'l2'.")
    regularization_scale = Number("Factor of the regularization, at least 0.")


class OptimizerAdamFields(PropertyOwner):
    """Properties of `OptimizerAdam`."""

    beta1 = Number("Share of the average of gradients that is kept, at least 0 and below 1.")
    beta2 = Number("Share of the average of squares that is kept, at least 0 and below 1.")
    epsilon = Number("Added to the root.")
    time_step = Integer("Number of steps that were made before.")


class OptimizerRMSPropFields(PropertyOwner):
    """Properties of `OptimizerRMSProp`."""

    decay = Number("Share of the average of squares that is kept, 0 to 1.")
    epsilon = Number("Added to the root.")


class OptimizerStochasticGradientDescentFields(PropertyOwner):
    """Properties of `OptimizerStochasticGradientDescent`."""

    momentum_scale = Number("Share of the moment that is kept, 0 to 1; 0: there is none.")
    use_nesterov_momentum = Flag("Whether the moment is Nesterov's.")


class PoolingFields(PropertyOwner):
    """Properties of `Pooling`."""

    kernel_width = Integer("Columns of the window.")
    kernel_height = Integer("Rows of the window.")
    stride_x = Integer("Source columns between destination columns (strideInPixelsX).")
    stride_y = Integer("Source rows between destination rows (strideInPixelsY).")

    def __init__(
        self,
        kernel_width: int,
        kernel_height: int,
        *,
        stride_x: int = 1,
        stride_y: int = 1,
        **properties: Unpack[UnaryProperties],
    ) -> None:
        super().__init__(
            kernel_width=kernel_width,
            kernel_height=kernel_height,
            stride_x=stride_x,
            stride_y=stride_y,
            **properties,
        )


class PoolingGradientFields(PropertyOwner):
    """Properties of `PoolingGradient`."""

    kernel_width = Integer("Columns of the window.")
    kernel_height = Integer("Rows of the window.")
    stride_x = Integer("Source columns between destination columns (strideInPixelsX).")
    stride_y = Integer("Source rows between destination rows (strideInPixelsY).")

    def __init__(
        self,
        kernel_width: int,
        kernel_height: int,
        *,
        stride_x: int = 1,
        stride_y: int = 1,
        **properties: Unpack[PoolingGradientProperties],
    ) -> None:
        super().__init__(
            kernel_width=kernel_width,
            kernel_height=kernel_height,
            stride_x=stride_x,
            stride_y=stride_y,
            **properties,
        )


class ReduceUnaryFields(PropertyOwner):
    """Properties of `ReduceUnary`."""

    clip_rect_source = ClipRect("Part of the source that is reduced, whatever its z; None: all of it.")

    def __init__(self, **properties: Unpack[ReduceUnaryProperties]) -> None:
        super().__init__(**properties)


class ReduceBinaryFields(PropertyOwner):
    """Properties of `ReduceBinary`."""

    primary_source_clip_rect = ClipRect("Part of the primary source that is reduced.")
    secondary_source_clip_rect = ClipRect("Part of the secondary source that holds its weights.")

    def __init__(self, **properties: Unpack[ReduceBinaryProperties]) -> None:
        super().__init__(**properties)


class UpsamplingFields(PropertyOwner):
    """Properties of `Upsampling`."""

    scale_factor_x = Integer("Destination columns of a source column.")
    scale_factor_y = Integer("Destination rows of a source row.")

    def __init__(
        self, scale_factor_x: int, scale_factor_y: int, **properties: Unpack[UnaryProperties]
    ) -> None:
        super().__init__(scale_factor_x=scale_factor_x, scale_factor_y=scale_factor_y, **properties)


class UpsamplingGradientFields(PropertyOwner):
    """Properties of `UpsamplingGradient`."""

    scale_factor_x = Integer("Destination columns of a source column.")
    scale_factor_y = Integer("Destination rows of a source row.")

    def __init__(
        self, scale_factor_x: int, scale_factor_y: int, **properties: Unpack[GradientProperties]
    ) -> None:
        super().__init__(scale_factor_x=scale_factor_x, scale_factor_y=scale_factor_y, **properties)


class YOLOLossFields(PropertyOwner):
    """Properties of `YOLOLoss`."""

    anchor_boxes = Numbers("Width and height of each anchor, in cells.")
    result = Text("'gradient' of the prediction, or 'loss'.")
    xy_loss_type = Text("Loss of the places.")
    wh_loss_type = Text("Loss of the sizes.")
    confidence_loss_type = Text("Loss of the confidence.")
    classes_loss_type = Text("Loss of the classes.")
    reduction_type = Text("'none', 'sum' or 'mean'.")
    reduce_across_batch = Flag("Whether there is one loss for all images, or one for each.")
    rescore = Flag("Whether the confidence shall be the IOU with the label's box, otherwise 1.")
    scale_xy = Number("Factor of the loss of places.")
    scale_wh = Number("Factor of the loss of sizes.")
    scale_no_object = Number("Factor of the confidence's loss where there is no object.")
    scale_object = Number("Factor of the confidence's loss where there is one.")
    scale_class = Number("Factor of the loss of classes.")
    min_iou_for_object_presence = Number(
        "A box without a label whose IOU with a label's box is above has an object."
    )
    max_iou_for_object_absence = Number(
        "A box without a label has no object where all of its IOUs are below."
    )


@dataclass
class LossDescriptorFields(NamedFields):
    """Fields of `LossDescriptor`."""

    loss_type: str
    reduction_type: str = "none"
    reduce_across_batch: bool = False
    weight: float = 1.0
    label_smoothing: float = 0.0
    number_of_classes: int = 1
    epsilon: float = 1e-07
    delta: float = 1.0

    def properties(self) -> dict[str, Any]:
        """Properties of a kernel with this descriptor."""
        return dict(vars(self))


@dataclass
class OptimizerDescriptorFields(NamedFields):
    """Fields of `OptimizerDescriptor`."""

    learning_rate: float = 0.001
    gradient_rescale: float = 1.0
    apply_gradient_clipping: bool = False
    gradient_clip_min: float = -1.0
    gradient_clip_max: float = 1.0
    regularization_type: str = "none"
    regularization_scale: float = 0.0

    def properties(self) -> dict[str, Any]:
        """Properties of a kernel with this descriptor."""
        return dict(vars(self))


@dataclass
class YOLOLossDescriptorFields(NamedFields):
    """Fields of `YOLOLossDescriptor`."""

    anchor_boxes: Sequence[float]
    xy_loss_type: str = "mean_squared_error"
    wh_loss_type: str = "mean_squared_error"
    confidence_loss_type: str = "sigmoid_cross_entropy"
    classes_loss_type: str = "softmax_cross_entropy"
    reduction_type: str = "none"
    reduce_across_batch: bool = False
    rescore: bool = True
    scale_xy: float = 10.0
    scale_wh: float = 10.0
    scale_no_object: float = 5.0
    scale_object: float = 100.0
    scale_class: float = 2.0
    min_iou_for_object_presence: float = 0.7
    max_iou_for_object_absence: float = 0.3

    def properties(self) -> dict[str, Any]:
        """Properties of a kernel with this descriptor."""
        return dict(vars(self))
