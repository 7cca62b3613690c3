"""The named arguments of raw kernels. `python docs/generate` writes this file."""

from collections.abc import Callable, Sequence
from typing import Literal, TypedDict

from mpscnn._private.literals import EdgeName
from mpscnn.graph.padding import DefaultPadding, PaddingMethod
from mpscnn.kernels.properties import Extent, Region
from mpscnn.runtime.feature_image import Image

Place = tuple[int, int] | tuple[int, int, int]
Clip = tuple[int, int, int, int] | Region | None
AlphaName = Literal["non_premultiplied", "alpha_is_one", "premultiplied"]
ColorSpaceName = Literal["none", "srgb", "linear_srgb", "gray_gamma_2_2", "linear_gray"]
ComparisonName = Literal["equal", "not_equal", "less", "less_or_equal", "greater", "greater_or_equal"]

class LabelProperties(TypedDict, total=False):
    label: str
    destination_image_allocator: Callable[..., Image]

class KernelProperties(TypedDict, total=False):
    label: str
    clip_rect: Clip
    destination_feature_channel_offset: int
    padding: DefaultPadding | PaddingMethod
    destination_image_allocator: Callable[..., Image]

class AnyEdgeProperties(KernelProperties, total=False):
    offset: Place
    source_feature_channel_offset: int
    source_feature_channel_max_count: int

class UnaryProperties(AnyEdgeProperties, total=False):
    edge_mode: EdgeName

class BinaryProperties(KernelProperties, total=False):
    primary_offset: Place
    primary_edge_mode: EdgeName
    primary_source_feature_channel_offset: int
    primary_source_feature_channel_max_count: int
    secondary_offset: Place
    secondary_edge_mode: EdgeName
    secondary_source_feature_channel_offset: int
    secondary_source_feature_channel_max_count: int

class GradientProperties(BinaryProperties, total=False):
    kernel_offset_x: int
    kernel_offset_y: int
    gradient_of: str

class BatchNormalizationProperties(UnaryProperties, total=False):
    number_of_feature_channels: int
    epsilon: float

class LossGradientProperties(LabelProperties, total=False):
    compute_label_gradients: bool

class OptimizerAdamProperties(LabelProperties, total=False):
    time_step: int

class ScaledNormalizationProperties(UnaryProperties, total=False):
    epsilon: float

class ScaledNormalizationGradientProperties(GradientProperties, total=False):
    epsilon: float

class TransposeProperties(UnaryProperties, total=False):
    kernel_offset_x: int
    kernel_offset_y: int

class ArithmeticKernelProperties(BinaryProperties, total=False):
    primary_scale: float
    secondary_scale: float
    bias: float
    minimum_value: float
    maximum_value: float
    primary_stride_x: int
    primary_stride_y: int
    primary_stride_in_feature_channels: int
    secondary_stride_x: int
    secondary_stride_y: int
    secondary_stride_in_feature_channels: int

class BatchNormalizationGradientProperties(LabelProperties, total=False):
    epsilon: float

class DropoutProperties(UnaryProperties, total=False):
    mask_stride_in_pixels: tuple[int, int, int]

class ImageScaleProperties(UnaryProperties, total=False):
    scale_transform: tuple[float, float, float, float] | None

class PoolingGradientProperties(GradientProperties, total=False):
    source_size: Extent | tuple[int, int] | None

class ReduceUnaryProperties(UnaryProperties, total=False):
    clip_rect_source: Clip

class ReduceBinaryProperties(BinaryProperties, total=False):
    primary_source_clip_rect: Clip
    secondary_source_clip_rect: Clip

class CompareProperties(ArithmeticKernelProperties, total=False):
    threshold: float

class ResizeBilinearProperties(UnaryProperties, total=False):
    align_corners: bool

class CrossChannelNormalizationProperties(UnaryProperties, total=False):
    alpha: float
    beta: float
    delta: float

class LocalContrastNormalizationProperties(CrossChannelNormalizationProperties, total=False):
    p0: float
    pm: float
    ps: float

class PadProperties(AnyEdgeProperties, total=False):
    fill_value_array: Sequence[float]
    fill_value: float
    edge_mode: EdgeName | Literal["mirror", "mirror_with_edge", "constant"]

class CrossChannelNormalizationGradientProperties(GradientProperties, total=False):
    alpha: float
    beta: float
    delta: float

class LocalContrastNormalizationGradientProperties(CrossChannelNormalizationGradientProperties, total=False):
    p0: float
    pm: float
    ps: float

class PadGradientProperties(GradientProperties, total=False):
    padding_size_before: tuple[int, int, int]
    padding_size_after: tuple[int, int, int]

class DropoutGradientProperties(GradientProperties, total=False):
    mask_stride_in_pixels: tuple[int, int, int]

class PoolingAverageProperties(UnaryProperties, total=False):
    zero_pad_size_x: int
    zero_pad_size_y: int

class PoolingAverageGradientProperties(PoolingGradientProperties, total=False):
    zero_pad_size_x: int
    zero_pad_size_y: int

class ReduceFeatureChannelsSumProperties(ReduceUnaryProperties, total=False):
    weight: float

class UpsamplingBilinearGradientProperties(GradientProperties, total=False):
    align_corners: bool
