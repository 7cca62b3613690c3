"""The named arguments of raw kernels, for type checkers. `python docs/generate` writes this file."""

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


class LabelProperties(TypedDict, total=False):
    """Named arguments of every `Kernel`."""

    label: str
    destination_image_allocator: Callable[..., Image]


class KernelProperties(TypedDict, total=False):
    """Named arguments of every `PlacedKernel`."""

    label: str
    clip_rect: Clip
    destination_feature_channel_offset: int
    padding: DefaultPadding | PaddingMethod
    destination_image_allocator: Callable[..., Image]


class AnyEdgeProperties(KernelProperties, total=False):
    """Named arguments of every `UnaryKernel`."""

    offset: Place
    source_feature_channel_offset: int
    source_feature_channel_max_count: int


class UnaryProperties(AnyEdgeProperties, total=False):
    """Named arguments of every `UnaryKernel`."""

    edge_mode: EdgeName


class BinaryProperties(KernelProperties, total=False):
    """Named arguments of every `BinaryKernel`."""

    primary_offset: Place
    primary_edge_mode: EdgeName
    primary_source_feature_channel_offset: int
    primary_source_feature_channel_max_count: int
    secondary_offset: Place
    secondary_edge_mode: EdgeName
    secondary_source_feature_channel_offset: int
    secondary_source_feature_channel_max_count: int


class GradientProperties(BinaryProperties, total=False):
    """Named arguments of every `GradientKernel`."""

    kernel_offset_x: int
    kernel_offset_y: int
    gradient_of: str


class BatchNormalizationProperties(UnaryProperties, total=False):
    """Named arguments of `BatchNormalization`."""

    number_of_feature_channels: int
    epsilon: float


class LossGradientProperties(LabelProperties, total=False):
    """Named arguments of `LossGradient`."""

    compute_label_gradients: bool


class OptimizerAdamProperties(LabelProperties, total=False):
    """Named arguments of `OptimizerAdam`."""

    time_step: int


class ScaledNormalizationProperties(UnaryProperties, total=False):
    """Named arguments of `ScaledNormalization`."""

    epsilon: float


class ScaledNormalizationGradientProperties(GradientProperties, total=False):
    """Named arguments of `ScaledNormalizationGradient`."""

    epsilon: float


class TransposeProperties(UnaryProperties, total=False):
    """Named arguments of `Transpose`."""

    kernel_offset_x: int
    kernel_offset_y: int


class ArithmeticKernelProperties(BinaryProperties, total=False):
    """Named arguments of `ArithmeticKernel`."""

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
    """Named arguments of `BatchNormalizationGradient`."""

    epsilon: float


class DropoutProperties(UnaryProperties, total=False):
    """Named arguments of `Dropout`."""

    mask_stride_in_pixels: tuple[int, int, int]


class ImageScaleProperties(UnaryProperties, total=False):
    """Named arguments of `ImageScale`."""

    scale_transform: tuple[float, float, float, float] | None


class PoolingGradientProperties(GradientProperties, total=False):
    """Named arguments of `PoolingGradient`."""

    source_size: Extent | tuple[int, int] | None


class ReduceUnaryProperties(UnaryProperties, total=False):
    """Named arguments of `ReduceUnary`."""

    clip_rect_source: Clip


class ReduceBinaryProperties(BinaryProperties, total=False):
    """Named arguments of `ReduceBinary`."""

    primary_source_clip_rect: Clip
    secondary_source_clip_rect: Clip


class CompareProperties(BinaryProperties, total=False):
    """Named arguments of `Compare`."""

    threshold: float
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


class ResizeBilinearProperties(UnaryProperties, total=False):
    """Named arguments of `ResizeBilinear`."""

    align_corners: bool


class CrossChannelNormalizationProperties(UnaryProperties, total=False):
    """Named arguments of `CrossChannelNormalization`."""

    alpha: float
    beta: float
    delta: float


class LocalContrastNormalizationProperties(UnaryProperties, total=False):
    """Named arguments of `LocalContrastNormalization`."""

    alpha: float
    beta: float
    delta: float
    p0: float
    pm: float
    ps: float


class PadProperties(AnyEdgeProperties, total=False):
    """Named arguments of `Pad`."""

    fill_value_array: Sequence[float]
    fill_value: float
    edge_mode: EdgeName | Literal["mirror", "mirror_with_edge", "constant"]


class CrossChannelNormalizationGradientProperties(GradientProperties, total=False):
    """Named arguments of `CrossChannelNormalizationGradient`."""

    alpha: float
    beta: float
    delta: float


class LocalContrastNormalizationGradientProperties(GradientProperties, total=False):
    """Named arguments of `LocalContrastNormalizationGradient`."""

    alpha: float
    beta: float
    delta: float
    p0: float
    pm: float
    ps: float


class PadGradientProperties(GradientProperties, total=False):
    """Named arguments of `PadGradient`."""

    padding_size_before: tuple[int, int, int]
    padding_size_after: tuple[int, int, int]


class DropoutGradientProperties(GradientProperties, total=False):
    """Named arguments of `DropoutGradient`."""

    mask_stride_in_pixels: tuple[int, int, int]


class PoolingAverageProperties(UnaryProperties, total=False):
    """Named arguments of `PoolingAverage`."""

    zero_pad_size_x: int
    zero_pad_size_y: int


class PoolingAverageGradientProperties(GradientProperties, total=False):
    """Named arguments of `PoolingAverageGradient`."""

    zero_pad_size_x: int
    zero_pad_size_y: int
    source_size: Extent | tuple[int, int] | None


class ReduceFeatureChannelsSumProperties(UnaryProperties, total=False):
    """Named arguments of `ReduceFeatureChannelsSum`."""

    clip_rect_source: Clip
    weight: float


class UpsamplingBilinearGradientProperties(GradientProperties, total=False):
    """Named arguments of `UpsamplingBilinearGradient`."""

    align_corners: bool
