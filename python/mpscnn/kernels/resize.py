"""Upsampling and resizing kernels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpscnn.kernels.gradient import DifferentiableKernel, GradientKernel
from mpscnn.kernels.kernel import Kernel, UnaryKernel
from mpscnn.kernels.properties import Flag, Integer

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from mpscnn.kernels.named import (
        BilinearGradientProperties,
        BilinearProperties,
        GradientProperties,
        UnaryProperties,
    )


class Upsampling(DifferentiableKernel):
    """Base of the upsampling kernels, as MPSCNNUpsampling: an image scale_factor times as large.

    The first pixel written is the first of the enlarged image; `offset` must be (0, 0, z). Reads outside of the
    source give its nearest pixel for every `edge_mode`. Apple's bilinear classes use the mode (docs/kernels.md).
    """

    apple_class = "MPSCNNUpsampling"

    scale_factor_x = Integer("Destination columns of a source column.")
    scale_factor_y = Integer("Destination rows of a source row.")

    def __init__(
        self, scale_factor_x: int, scale_factor_y: int, **properties: Unpack[UnaryProperties]
    ) -> None:
        Kernel.__init__(self, scale_factor_x=scale_factor_x, scale_factor_y=scale_factor_y, **properties)


class UpsamplingNearest(Upsampling):
    """Every pixel repeated: result[o] = x[floor(o / scale_factor)], as MPSCNNUpsamplingNearest."""

    apple_class = "MPSCNNUpsamplingNearest"


class UpsamplingBilinear(Upsampling):
    """Bilinear interpolation, as MPSCNNUpsamplingBilinear.

    With `align_corners` result[o] = x at o * (n - 1) / (scale_factor * n - 1); otherwise at
    (o + 0.5) / scale_factor - 0.5, TensorFlow's and PyTorch's rule. Apple's rule differs between systems.
    """

    apple_class = "MPSCNNUpsamplingBilinear"

    align_corners = Flag("Whether corner pixels stay corners.")

    if TYPE_CHECKING:

        def __init__(
            self, scale_factor_x: int, scale_factor_y: int, **properties: Unpack[BilinearProperties]
        ) -> None: ...


class ResizeBilinear(UnaryKernel):
    """Bilinear interpolation to a given size, as MPSNNResizeBilinear; otherwise like `UpsamplingBilinear`."""

    apple_class = "MPSNNResizeBilinear"

    resize_width = Integer("Columns of the result.")
    resize_height = Integer("Rows of the result.")
    align_corners = Flag("Whether corner pixels stay corners.")

    def __init__(
        self, resize_width: int, resize_height: int, **properties: Unpack[BilinearProperties]
    ) -> None:
        Kernel.__init__(self, resize_width=resize_width, resize_height=resize_height, **properties)


class UpsamplingGradient(GradientKernel):
    """Base of the gradients of upsampling kernels, as MPSCNNUpsamplingGradient. Offsets must be 0."""

    apple_class = "MPSCNNUpsamplingGradient"
    forward_class = Upsampling

    scale_factor_x = Integer("Destination columns of a source column of the forward kernel.")
    scale_factor_y = Integer("Destination rows of a source row of the forward kernel.")

    def __init__(
        self, scale_factor_x: int, scale_factor_y: int, **properties: Unpack[GradientProperties]
    ) -> None:
        Kernel.__init__(self, scale_factor_x=scale_factor_x, scale_factor_y=scale_factor_y, **properties)


class UpsamplingNearestGradient(UpsamplingGradient):
    """The sum of the gradients of a pixel's copies, as MPSCNNUpsamplingNearestGradient."""

    apple_class = "MPSCNNUpsamplingNearestGradient"
    forward_class = UpsamplingNearest


class UpsamplingBilinearGradient(UpsamplingGradient):
    """The gradients of the pixels that were sampled from one, times its weights, as MPSCNNUpsamplingBilinearGradient.

    Apple's class has no `align_corners`.
    """

    apple_class = "MPSCNNUpsamplingBilinearGradient"
    forward_class = UpsamplingBilinear

    align_corners = Flag("Whether corner pixels stayed corners.")

    if TYPE_CHECKING:

        def __init__(
            self, scale_factor_x: int, scale_factor_y: int, **properties: Unpack[BilinearGradientProperties]
        ) -> None: ...
