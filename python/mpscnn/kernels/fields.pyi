"""The properties of raw kernels. `python docs/generate` writes this file."""

from collections.abc import Sequence
from dataclasses import dataclass

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
from mpscnn.kernels.named_fields import NamedFields
from mpscnn.kernels.neuron_descriptor import NeuronDescriptor
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

class KernelFields(PropertyOwner):
    label: Text

class PlacedKernelFields(PropertyOwner):
    clip_rect: ClipRect
    destination_feature_channel_offset: Integer
    padding: Padding

class UnaryKernelFields(PropertyOwner):
    offset: Offset
    edge_mode: Text
    source_feature_channel_offset: Integer
    source_feature_channel_max_count: Integer

class BinaryKernelFields(PropertyOwner):
    primary_offset: Offset
    primary_edge_mode: Text
    primary_source_feature_channel_offset: Integer
    primary_source_feature_channel_max_count: Integer
    secondary_offset: Offset
    secondary_edge_mode: Text
    secondary_source_feature_channel_offset: Integer
    secondary_source_feature_channel_max_count: Integer

class GradientKernelFields(PropertyOwner):
    kernel_offset_x: Integer
    kernel_offset_y: Integer
    gradient_of: Text

class ArithmeticKernelFields(PropertyOwner):
    primary_scale: Number
    secondary_scale: Number
    bias: Number
    minimum_value: Number
    maximum_value: Number
    primary_stride_x: Integer
    primary_stride_y: Integer
    primary_stride_in_feature_channels: Integer
    secondary_stride_x: Integer
    secondary_stride_y: Integer
    secondary_stride_in_feature_channels: Integer
    def __init__(self, **properties: Unpack[ArithmeticKernelProperties]) -> None: ...

class ArithmeticGradientFields(PropertyOwner):
    is_secondary_source_filter: Flag
    def __init__(
        self, is_secondary_source_filter: bool = False, **properties: Unpack[ArithmeticKernelProperties]
    ) -> None: ...

class BatchNormalizationGradientFields(PropertyOwner):
    number_of_feature_channels: Integer
    fused_neuron_descriptor: Descriptor
    epsilon: Number
    def __init__(
        self,
        number_of_feature_channels: int,
        *,
        fused_neuron_descriptor: NeuronDescriptor | None = None,
        **properties: Unpack[BatchNormalizationGradientProperties],
    ) -> None: ...

class BinaryConvolutionFields(PropertyOwner):
    kernel_width: Integer
    kernel_height: Integer
    input_feature_channels: Integer
    output_feature_channels: Integer
    stride_x: Integer
    stride_y: Integer
    dilation_rate_x: Integer
    dilation_rate_y: Integer
    type: Text
    use_beta_scaling: Flag
    fused_neuron_descriptor: Descriptor

class ConvolutionFields(PropertyOwner):
    kernel_width: Integer
    kernel_height: Integer
    input_feature_channels: Integer
    output_feature_channels: Integer
    stride_x: Integer
    stride_y: Integer
    dilation_rate_x: Integer
    dilation_rate_y: Integer
    groups: Integer
    depthwise: Flag
    sub_pixel_scale_factor: Integer
    fused_neuron_descriptor: Descriptor
    batch_normalization: Flag
    batch_normalization_epsilon: Number

class ConvolutionTransposeFields(PropertyOwner):
    kernel_width: Integer
    kernel_height: Integer
    input_feature_channels: Integer
    output_feature_channels: Integer
    stride_x: Integer
    stride_y: Integer
    dilation_rate_x: Integer
    dilation_rate_y: Integer
    groups: Integer
    fused_neuron_descriptor: Descriptor
    kernel_offset_x: Integer
    kernel_offset_y: Integer

class DropoutFields(PropertyOwner):
    keep_probability: Number
    seed: Integer
    mask_stride_in_pixels: Size
    def __init__(
        self, keep_probability: float = 0.999, seed: int = 0, **properties: Unpack[DropoutProperties]
    ) -> None: ...

class FullyConnectedFields(PropertyOwner):
    kernel_width: Integer
    kernel_height: Integer
    input_feature_channels: Integer
    output_feature_channels: Integer
    fused_neuron_descriptor: Descriptor

class ImageConversionFields(PropertyOwner):
    source_alpha: Text
    destination_alpha: Text
    background_color: Numbers
    source_color_space: Text
    destination_color_space: Text
    def __init__(
        self,
        source_alpha: AlphaName = "alpha_is_one",
        destination_alpha: AlphaName = "alpha_is_one",
        background_color: Sequence[float] = (),
        source_color_space: ColorSpaceName = "none",
        destination_color_space: ColorSpaceName = "none",
        **properties: Unpack[UnaryProperties],
    ) -> None: ...

class ImageScaleFields(PropertyOwner):
    scale_transform: Transform
    resize_width: Integer
    resize_height: Integer
    def __init__(
        self, resize_width: int = 0, resize_height: int = 0, **properties: Unpack[ImageScaleProperties]
    ) -> None: ...

class LossFields(PropertyOwner):
    loss_type: Text
    reduction_type: Text
    reduce_across_batch: Flag
    weight: Number
    label_smoothing: Number
    number_of_classes: Integer
    epsilon: Number
    delta: Number

class NeuronFields(PropertyOwner):
    neuron_descriptor: Descriptor
    data_count: Integer

class ScaledNormalizationFields(PropertyOwner):
    number_of_feature_channels: Integer
    epsilon: Number

class BatchNormalizationFields(PropertyOwner):
    fused_neuron_descriptor: Descriptor

class GroupNormalizationFields(PropertyOwner):
    number_of_groups: Integer

class OptimizerFields(PropertyOwner):
    result: Text
    learning_rate: Number
    gradient_rescale: Number
    apply_gradient_clipping: Flag
    gradient_clip_min: Number
    gradient_clip_max: Number
    regularization_type: Text
    regularization_scale: Number

class OptimizerAdamFields(PropertyOwner):
    beta1: Number
    beta2: Number
    epsilon: Number
    time_step: Integer

class OptimizerRMSPropFields(PropertyOwner):
    decay: Number
    epsilon: Number

class OptimizerStochasticGradientDescentFields(PropertyOwner):
    momentum_scale: Number
    use_nesterov_momentum: Flag

class PoolingFields(PropertyOwner):
    kernel_width: Integer
    kernel_height: Integer
    stride_x: Integer
    stride_y: Integer
    def __init__(
        self,
        kernel_width: int,
        kernel_height: int,
        *,
        stride_x: int = 1,
        stride_y: int = 1,
        **properties: Unpack[UnaryProperties],
    ) -> None: ...

class PoolingGradientFields(PropertyOwner):
    kernel_width: Integer
    kernel_height: Integer
    stride_x: Integer
    stride_y: Integer
    def __init__(
        self,
        kernel_width: int,
        kernel_height: int,
        *,
        stride_x: int = 1,
        stride_y: int = 1,
        **properties: Unpack[PoolingGradientProperties],
    ) -> None: ...

class ReduceUnaryFields(PropertyOwner):
    clip_rect_source: ClipRect
    def __init__(self, **properties: Unpack[ReduceUnaryProperties]) -> None: ...

class ReduceBinaryFields(PropertyOwner):
    primary_source_clip_rect: ClipRect
    secondary_source_clip_rect: ClipRect
    def __init__(self, **properties: Unpack[ReduceBinaryProperties]) -> None: ...

class UpsamplingFields(PropertyOwner):
    scale_factor_x: Integer
    scale_factor_y: Integer
    def __init__(
        self, scale_factor_x: int, scale_factor_y: int, **properties: Unpack[UnaryProperties]
    ) -> None: ...

class UpsamplingGradientFields(PropertyOwner):
    scale_factor_x: Integer
    scale_factor_y: Integer
    def __init__(
        self, scale_factor_x: int, scale_factor_y: int, **properties: Unpack[GradientProperties]
    ) -> None: ...

class YOLOLossFields(PropertyOwner):
    anchor_boxes: Numbers
    result: Text
    xy_loss_type: Text
    wh_loss_type: Text
    confidence_loss_type: Text
    classes_loss_type: Text
    reduction_type: Text
    reduce_across_batch: Flag
    rescore: Flag
    scale_xy: Number
    scale_wh: Number
    scale_no_object: Number
    scale_object: Number
    scale_class: Number
    min_iou_for_object_presence: Number
    max_iou_for_object_absence: Number

@dataclass
class LossDescriptorFields(NamedFields):
    loss_type: str
    reduction_type: str = "none"
    reduce_across_batch: bool = False
    weight: float = 1.0
    label_smoothing: float = 0.0
    number_of_classes: int = 1
    epsilon: float = 1e-07
    delta: float = 1.0

@dataclass
class OptimizerDescriptorFields(NamedFields):
    learning_rate: float = 0.001
    gradient_rescale: float = 1.0
    apply_gradient_clipping: bool = False
    gradient_clip_min: float = -1.0
    gradient_clip_max: float = 1.0
    regularization_type: str = "none"
    regularization_scale: float = 0.0

@dataclass
class YOLOLossDescriptorFields(NamedFields):
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
