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
    """Properties of every kernel."""

    label: str
    clip_rect: Clip
    destination_feature_channel_offset: int
    padding: DefaultPadding | PaddingMethod
    destination_image_allocator: Callable[..., Image]


class AnyEdgeProperties(KernelProperties, total=False):
    """Properties of kernels with one source, but for what lies outside of it."""

    offset: Place
    source_feature_channel_offset: int
    source_feature_channel_max_count: int


class UnaryProperties(AnyEdgeProperties, total=False):
    """Properties of kernels with one source."""

    edge_mode: EdgeName


class BinaryProperties(KernelProperties, total=False):
    """Properties of kernels with two sources."""

    primary_offset: Place
    secondary_offset: Place
    primary_edge_mode: EdgeName
    secondary_edge_mode: EdgeName
    primary_source_feature_channel_offset: int
    secondary_source_feature_channel_offset: int
    primary_source_feature_channel_max_count: int
    secondary_source_feature_channel_max_count: int


class GradientProperties(BinaryProperties, total=False):
    """Properties of gradient kernels."""

    kernel_offset_x: int
    kernel_offset_y: int
    gradient_of: str


class PoolingGradientProperties(GradientProperties, total=False):
    """Properties of gradients of poolings."""

    source_size: Extent | tuple[int, int] | None


class PoolingAverageGradientProperties(PoolingGradientProperties, total=False):
    """Properties of `PoolingAverageGradient`."""

    zero_pad_size_x: int
    zero_pad_size_y: int


class BilinearGradientProperties(GradientProperties, total=False):
    """Properties of `UpsamplingBilinearGradient`."""

    align_corners: bool


class PadGradientProperties(GradientProperties, total=False):
    """Properties of `PadGradient`, whose padding sizes and edge mode are those of the `Pad`."""

    padding_size_before: tuple[int, int, int]
    padding_size_after: tuple[int, int, int]


class EpsilonGradientProperties(GradientProperties, total=False):
    """Properties of gradients of normalizations by mean and variance."""

    epsilon: float


class WindowNormalizationGradientProperties(GradientProperties, total=False):
    """Properties of gradients of normalizations by what lies in a window."""

    alpha: float
    beta: float
    delta: float


class LocalContrastGradientProperties(WindowNormalizationGradientProperties, total=False):
    """Properties of `LocalContrastNormalizationGradient`."""

    p0: float
    pm: float
    ps: float


class DropoutGradientProperties(GradientProperties, total=False):
    """Properties of `DropoutGradient`."""

    mask_stride_in_pixels: tuple[int, int, int]


class LabelProperties(TypedDict, total=False):
    """Properties of kernels that take whole images."""

    label: str
    destination_image_allocator: Callable[..., Image]


class LossGradientProperties(LabelProperties, total=False):
    """Properties of `LossGradient`."""

    compute_label_gradients: bool


class BatchNormalizationGradientProperties(LabelProperties, total=False):
    """Properties of the gradients of a batch normalization."""

    epsilon: float


class AdamProperties(LabelProperties, total=False):
    """Properties of `OptimizerAdam`."""

    time_step: int


class ArithmeticProperties(BinaryProperties, total=False):
    """Properties of `Add` and others."""

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
    """Properties of `Compare`."""

    threshold: float


class ReduceUnaryProperties(UnaryProperties, total=False):
    """Properties of reductions of one image."""

    clip_rect_source: Clip


class ReduceSumProperties(ReduceUnaryProperties, total=False):
    """Properties of `ReduceFeatureChannelsSum`."""

    weight: float


class ReduceBinaryProperties(BinaryProperties, total=False):
    """Properties of reductions of two images."""

    primary_source_clip_rect: Clip
    secondary_source_clip_rect: Clip


class PadProperties(AnyEdgeProperties, total=False):
    """Properties of `Pad`."""

    edge_mode: EdgeName | Literal["mirror", "mirror_with_edge", "constant"]
    fill_value: float
    fill_value_array: Sequence[float]


class PoolingAverageProperties(UnaryProperties, total=False):
    """Properties of `PoolingAverage`."""

    zero_pad_size_x: int
    zero_pad_size_y: int


class BilinearProperties(UnaryProperties, total=False):
    """Properties of `UpsamplingBilinear` and `ResizeBilinear`."""

    align_corners: bool


class ScaleProperties(UnaryProperties, total=False):
    """Properties of `ImageBilinearScale` and `ImageLanczosScale`."""

    scale_transform: tuple[float, float, float, float] | None


class TransposeProperties(UnaryProperties, total=False):
    """Properties of `ConvolutionTranspose`."""

    kernel_offset_x: int
    kernel_offset_y: int


class EpsilonProperties(UnaryProperties, total=False):
    """Properties of normalizations by mean and variance."""

    epsilon: float


class BatchNormalizationProperties(EpsilonProperties, total=False):
    """Properties of `BatchNormalization`."""

    number_of_feature_channels: int


class WindowNormalizationProperties(UnaryProperties, total=False):
    """Properties of normalizations by what lies in a window."""

    alpha: float
    beta: float
    delta: float


class LocalContrastProperties(WindowNormalizationProperties, total=False):
    """Properties of `LocalContrastNormalization`."""

    p0: float
    pm: float
    ps: float


class DropoutProperties(UnaryProperties, total=False):
    """Properties of `Dropout`."""

    mask_stride_in_pixels: tuple[int, int, int]
