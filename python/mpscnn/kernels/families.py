"""Define base classes of raw kernels with common properties."""

from __future__ import annotations

from mpscnn.kernels.fields import (
    PoolingFields,
    ReduceBinaryFields,
    ReduceUnaryFields,
    UpsamplingFields,
    UpsamplingGradientFields,
)
from mpscnn.kernels.gradient import DifferentiableKernel, GradientKernel
from mpscnn.kernels.kernel import BinaryKernel, UnaryKernel


class Pooling(PoolingFields, DifferentiableKernel):
    """Base of the pooling kernels, as MPSCNNPooling.

    Destination pixel o reads the window that begins at offset + stride * o - (reach >> 1) with reach = (kernel - 1) *
    dilation_rate + 1, along each axis.
    """

    apple_class = "MPSCNNPooling"


class ReduceUnary(ReduceUnaryFields, UnaryKernel):
    """Base of the reductions of one image, as MPSNNReduceUnary. `clip_rect_source` replaces `offset`."""

    apple_class = "MPSNNReduceUnary"


class ReduceBinary(ReduceBinaryFields, BinaryKernel):
    """Base of the reductions of two images, as MPSNNReduceBinary."""

    apple_class = "MPSNNReduceBinary"


class Upsampling(UpsamplingFields, DifferentiableKernel):
    """Base of the upsampling kernels, as MPSCNNUpsampling, which enlarge an image by scale_factor.

    The first pixel written is the first of the enlarged image; `offset` must be (0, 0, z). Outside of the source the
    nearest pixel is read, for every `edge_mode`. Apple's bilinear classes obey the mode (docs/kernels.md).
    """

    apple_class = "MPSCNNUpsampling"


class UpsamplingGradient(UpsamplingGradientFields, GradientKernel):
    """Base of the gradients of upsampling kernels, as MPSCNNUpsamplingGradient. Offsets must be 0."""

    apple_class = "MPSCNNUpsamplingGradient"
    forward_class = Upsampling
