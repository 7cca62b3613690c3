"""The properties that kernels take as named arguments, for type checkers."""

from __future__ import annotations

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


class KernelProperties(TypedDict, total=False):
    """Of every kernel."""

    label: str
    clip_rect: Clip
    destination_feature_channel_offset: int
    padding: DefaultPadding | PaddingMethod
    destination_image_allocator: Callable[..., Image]


class AnyEdgeProperties(KernelProperties, total=False):
    """Of kernels with one source, but for what lies outside of it."""

    offset: Place
    source_feature_channel_offset: int
    source_feature_channel_max_count: int


class UnaryProperties(AnyEdgeProperties, total=False):
    """Of kernels with one source."""

    edge_mode: EdgeName


class BinaryProperties(KernelProperties, total=False):
    """Of kernels with two sources."""

    primary_offset: Place
    secondary_offset: Place
    primary_edge_mode: EdgeName
    secondary_edge_mode: EdgeName
    primary_source_feature_channel_offset: int
    secondary_source_feature_channel_offset: int
    primary_source_feature_channel_max_count: int
    secondary_source_feature_channel_max_count: int


class GradientProperties(BinaryProperties, total=False):
    """Of gradient kernels."""

    kernel_offset_x: int
    kernel_offset_y: int
    gradient_of: str


class PoolingGradientProperties(GradientProperties, total=False):
    """Of gradients of poolings."""

    source_size: Extent | tuple[int, int] | None


class PoolingAverageGradientProperties(PoolingGradientProperties, total=False):
    """Of `PoolingAverageGradient`."""

    zero_pad_size_x: int
    zero_pad_size_y: int


class BilinearGradientProperties(GradientProperties, total=False):
    """Of `UpsamplingBilinearGradient`."""

    align_corners: bool


class PadGradientProperties(GradientProperties, total=False):
    """Of `PadGradient`, whose padding sizes and edge mode are those of the `Pad`."""

    padding_size_before: tuple[int, int, int]
    padding_size_after: tuple[int, int, int]


class EpsilonGradientProperties(GradientProperties, total=False):
    """Of gradients of normalizations by mean and variance."""

    epsilon: float


class WindowNormalizationGradientProperties(GradientProperties, total=False):
    """Of gradients of normalizations by what lies in a window."""

    alpha: float
    beta: float
    delta: float


class LocalContrastGradientProperties(WindowNormalizationGradientProperties, total=False):
    """Of `LocalContrastNormalizationGradient`."""

    p0: float
    pm: float
    ps: float


class DropoutGradientProperties(GradientProperties, total=False):
    """Of `DropoutGradient`."""

    mask_stride_in_pixels: tuple[int, int, int]


class LabelProperties(TypedDict, total=False):
    """Of kernels that take whole images."""

    label: str
    destination_image_allocator: Callable[..., Image]


class LossGradientProperties(LabelProperties, total=False):
    """Of `LossGradient`."""

    compute_label_gradients: bool


class BatchNormalizationGradientProperties(LabelProperties, total=False):
    """Of the gradients of a batch normalization."""

    epsilon: float


class AdamProperties(LabelProperties, total=False):
    """Of `OptimizerAdam`."""

    time_step: int


class ArithmeticProperties(BinaryProperties, total=False):
    """Of `Add` and others."""

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


class CompareProperties(ArithmeticProperties, total=False):
    """Of `Compare`."""

    threshold: float


class ReduceUnaryProperties(UnaryProperties, total=False):
    """Of reductions of one image."""

    clip_rect_source: Clip


class ReduceSumProperties(ReduceUnaryProperties, total=False):
    """Of `ReduceFeatureChannelsSum`."""

    weight: float


class ReduceBinaryProperties(BinaryProperties, total=False):
    """Of reductions of two images."""

    primary_source_clip_rect: Clip
    secondary_source_clip_rect: Clip


class PadProperties(AnyEdgeProperties, total=False):
    """Of `Pad`."""

    edge_mode: EdgeName | Literal["mirror", "mirror_with_edge", "constant"]
    fill_value: float
    fill_value_array: Sequence[float]


class PoolingAverageProperties(UnaryProperties, total=False):
    """Of `PoolingAverage`."""

    zero_pad_size_x: int
    zero_pad_size_y: int


class BilinearProperties(UnaryProperties, total=False):
    """Of `UpsamplingBilinear` and `ResizeBilinear`."""

    align_corners: bool


class ScaleProperties(UnaryProperties, total=False):
    """Of `ImageBilinearScale` and `ImageLanczosScale`."""

    scale_transform: tuple[float, float, float, float] | None


class TransposeProperties(UnaryProperties, total=False):
    """Of `ConvolutionTranspose`."""

    kernel_offset_x: int
    kernel_offset_y: int


class EpsilonProperties(UnaryProperties, total=False):
    """Of normalizations by mean and variance."""

    epsilon: float


class BatchNormalizationProperties(EpsilonProperties, total=False):
    """Of `BatchNormalization`."""

    number_of_feature_channels: int


class WindowNormalizationProperties(UnaryProperties, total=False):
    """Of normalizations by what lies in a window."""

    alpha: float
    beta: float
    delta: float


class LocalContrastProperties(WindowNormalizationProperties, total=False):
    """Of `LocalContrastNormalization`."""

    p0: float
    pm: float
    ps: float


class DropoutProperties(UnaryProperties, total=False):
    """Of `Dropout`."""

    mask_stride_in_pixels: tuple[int, int, int]
