"""Pooling kernels."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from mpscnn.kernels.gradient import DifferentiableKernel, GradientKernel
from mpscnn.kernels.kernel import Kernel, UnaryKernel
from mpscnn.kernels.properties import Integer

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from mpscnn.kernels.named import (
        GradientProperties,
        PoolingAverageGradientProperties,
        PoolingAverageProperties,
        UnaryProperties,
    )


class Pooling(DifferentiableKernel):
    """Base of the pooling kernels, as MPSCNNPooling.

    Destination pixel o reads the window that begins at offset + stride * o - (reach >> 1) with reach =
    (kernel - 1) * dilation_rate + 1, along each axis.
    """

    apple_class = "MPSCNNPooling"

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
        Kernel.__init__(
            self,
            kernel_width=kernel_width,
            kernel_height=kernel_height,
            stride_x=stride_x,
            stride_y=stride_y,
            **properties,
        )


class PoolingMax(Pooling):
    """Maximum of each window, as MPSCNNPoolingMax.

    With edge_mode "zero" the zeros outside take part: frameworks' max pooling is "clamp".
    """

    apple_class = "MPSCNNPoolingMax"


class PoolingAverage(Pooling):
    """Mean of each window, as MPSCNNPoolingAverage.

    With edge_mode "zero" the divisor is kernel_width * kernel_height; with "clamp" it counts the pixels of the window
    that lie in the image and in the zero_pad_size_x columns and zero_pad_size_y rows of zeros around it.
    """

    apple_class = "MPSCNNPoolingAverage"

    zero_pad_size_x = Integer("Columns of zeros on either side that count; edge_mode 'clamp' only.")
    zero_pad_size_y = Integer("Rows of zeros above and below that count; edge_mode 'clamp' only.")

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
    """Square root of the sum of squares of each window, as MPSCNNPoolingL2Norm.

    With edge_mode "clamp" what lies outside reads as the nearest pixel; Apple does not say what it does there.
    """

    apple_class = "MPSCNNPoolingL2Norm"


class DilatedPoolingMax(Pooling):
    """Maximum of each window whose taps lie dilation_rate pixels apart, as MPSCNNDilatedPoolingMax."""

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
            stride_x=stride_x,
            stride_y=stride_y,
            dilation_rate_x=dilation_rate_x,
            dilation_rate_y=dilation_rate_y,
            **properties,
        )


class PoolingGradient(GradientKernel):
    """Base of the gradients of pooling kernels, as MPSCNNPoolingGradient: of the source, which is as large as it was.

    Takes what the forward kernel takes. Without a state, `kernel_offset` is that of a forward kernel whose window
    begins at the first pixel where the window is even, and half before it where it is odd.
    """

    apple_class = "MPSCNNPoolingGradient"
    forward_class: ClassVar[type[UnaryKernel]] = Pooling

    kernel_width = Integer("Columns of the window.")
    kernel_height = Integer("Rows of the window.")
    stride_x = Integer("Source columns between destination columns of the forward kernel.")
    stride_y = Integer("Source rows between destination rows of the forward kernel.")

    def __init__(
        self,
        kernel_width: int,
        kernel_height: int,
        *,
        stride_x: int = 1,
        stride_y: int = 1,
        **properties: Unpack[GradientProperties],
    ) -> None:
        Kernel.__init__(
            self,
            kernel_width=kernel_width,
            kernel_height=kernel_height,
            stride_x=stride_x,
            stride_y=stride_y,
            **properties,
        )


class PoolingMaxGradient(PoolingGradient):
    """The gradient goes to the maximum of each window, the first of equals, as MPSCNNPoolingMaxGradient.

    Where a zero outside of the image is the maximum it goes nowhere.
    """

    apple_class = "MPSCNNPoolingMaxGradient"
    forward_class = PoolingMax


class PoolingAverageGradient(PoolingGradient):
    """The gradient goes to all pixels of the window, divided as they were, as MPSCNNPoolingAverageGradient."""

    apple_class = "MPSCNNPoolingAverageGradient"
    forward_class = PoolingAverage

    zero_pad_size_x = Integer("Columns of zeros on either side that count; edge_mode 'clamp' only.")
    zero_pad_size_y = Integer("Rows of zeros above and below that count; edge_mode 'clamp' only.")

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
    """The gradient times pixel / norm of each window, 0 where the norm is 0, as MPSCNNPoolingL2NormGradient."""

    apple_class = "MPSCNNPoolingL2NormGradient"
    forward_class = PoolingL2Norm


class DilatedPoolingMaxGradient(PoolingGradient):
    """As `PoolingMaxGradient` for windows whose taps lie apart, as MPSCNNDilatedPoolingMaxGradient."""

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
        **properties: Unpack[GradientProperties],
    ) -> None:
        Kernel.__init__(
            self,
            kernel_width=kernel_width,
            kernel_height=kernel_height,
            stride_x=stride_x,
            stride_y=stride_y,
            dilation_rate_x=dilation_rate_x,
            dilation_rate_y=dilation_rate_y,
            **properties,
        )
