"""Softmax kernels."""

from __future__ import annotations

from mpscnn.kernels.kernel import UnaryKernel


class SoftMax(UnaryKernel):
    """exp(x) / sum(exp(x)) over the feature channels of each pixel, as MPSCNNSoftMax."""

    apple_class = "MPSCNNSoftMax"


class LogSoftMax(UnaryKernel):
    """x - ln(sum(exp(x))) over the feature channels of each pixel, as MPSCNNLogSoftMax."""

    apple_class = "MPSCNNLogSoftMax"
