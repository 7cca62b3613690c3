"""Pooling kernels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from mpscnn.kernels.gradient import DifferentiableKernel, GradientKernel
from mpscnn.kernels.kernel import Kernel, UnaryKernel, allocate_image
from mpscnn.kernels.neuron import NeuronLinear
from mpscnn.kernels.properties import Integer, KeptExtent
from mpscnn.runtime.commands import CommandBuffer
from mpscnn.runtime.feature_image import Image, TemporaryImage

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from mpscnn.kernels.named import (
        PoolingAverageGradientProperties,
        PoolingAverageProperties,
        PoolingGradientProperties,
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
    source_size = KeptExtent(
        "(width, height, images): gradients outside of the part of the primary source that begins at primary_offset "
        "and is as large count as 0. None: all count."
    )

    def __init__(
        self,
        kernel_width: int,
        kernel_height: int,
        *,
        stride_x: int = 1,
        stride_y: int = 1,
        **properties: Unpack[PoolingGradientProperties],
    ) -> None:
        Kernel.__init__(
            self,
            kernel_width=kernel_width,
            kernel_height=kernel_height,
            stride_x=stride_x,
            stride_y=stride_y,
            **properties,
        )

    def _encode(
        self,
        commands: CommandBuffer,
        sources: Sequence[Image],
        destination: Image | None,
        state: Any = None,
    ) -> Image:
        gradient, image = sources
        return super()._encode(commands, [self._counted(commands, gradient), image], destination, state)

    def _counted(self, commands: CommandBuffer, gradient: Image) -> Image:
        """The gradient, with zeros where it does not count."""
        if self.source_size is None:
            return gradient
        self._require_arguments(commands, [gradient])
        result = allocate_image(commands, gradient.descriptor)
        result.write(np.zeros_like(result.read()))
        extents = (gradient.width, gradient.height, gradient.number_of_images)
        parts = list(zip(self.primary_offset, self.source_size, extents, strict=True))
        first = [max(offset, 0) for offset, _, _ in parts]
        last = [min(offset + size, extent) for offset, size, extent in parts]
        x, y, z = first
        width, height, images = (end - begin for begin, end in zip(first, last, strict=True))
        if min(width, height, images) > 0:
            copy = NeuronLinear(1.0, 0.0, offset=(x, y, z), clip_rect=(x, y, z, width, height, images))
            copy.encode(commands, gradient, result)
        elif isinstance(gradient, TemporaryImage):
            gradient.read_count -= 1  # by this kernel, which has nothing to read of it
        return result


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
        **properties: Unpack[PoolingGradientProperties],
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
