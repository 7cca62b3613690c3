"""Softmax kernels."""

from __future__ import annotations

from mpscnn.kernels.kernel import BinaryKernel, UnaryKernel


class SoftMax(UnaryKernel):
    """exp(x) / sum(exp(x)) over the feature channels of each pixel, as MPSCNNSoftMax."""

    apple_class = "MPSCNNSoftMax"


class LogSoftMax(UnaryKernel):
    """x - ln(sum(exp(x))) over the feature channels of each pixel, as MPSCNNLogSoftMax."""

    apple_class = "MPSCNNLogSoftMax"


class SoftMaxGradient(BinaryKernel):
    """y (g - sum(g y)) over the feature channels of each pixel, as MPSCNNSoftMaxGradient.

    The primary source is the gradient g of the result, the secondary source the result y of the `SoftMax` itself, as
    Apple's class wants it.
    """

    apple_class = "MPSCNNSoftMaxGradient"


class LogSoftMaxGradient(BinaryKernel):
    """g - exp(y) sum(g) over the feature channels of each pixel, as MPSCNNLogSoftMaxGradient.

    The primary source is the gradient g of the result, the secondary source the result y of the `LogSoftMax` itself.
    """

    apple_class = "MPSCNNLogSoftMaxGradient"
