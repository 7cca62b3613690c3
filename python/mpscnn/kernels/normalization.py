"""Normalization kernels."""

from __future__ import annotations

from typing import Any

import numpy as np

from mpscnn.kernels.kernel import UnaryKernel
from mpscnn.kernels.neuron import NeuronDescriptor
from mpscnn.kernels.properties import Descriptor, Integer, Number


class BatchNormalization(UnaryKernel):
    """gamma (x - mean) / sqrt(variance + epsilon) + beta for each channel, as MPSCNNBatchNormalization.

    Args:
        mean, variance: [channels].
        gamma, beta: [channels]; 1 and 0 unless given.
        fused_neuron_descriptor: applied to the result.
    """

    apple_class = "MPSCNNBatchNormalization"

    number_of_feature_channels = Integer("Feature channels of the source.")
    fused_neuron_descriptor = Descriptor("The neuron applied to the result.")
    epsilon = Number("Added to the variance, above zero.")

    def __init__(
        self,
        mean: Any,
        variance: Any,
        gamma: Any = None,
        beta: Any = None,
        *,
        fused_neuron_descriptor: NeuronDescriptor | None = None,
        **properties: Any,
    ) -> None:
        super().__init__(
            number_of_feature_channels=np.size(mean),
            fused_neuron_descriptor=fused_neuron_descriptor,
            **properties,
        )
        self._set_weight("mean", mean)
        self._set_weight("variance", variance)
        self._set_weight("gamma", gamma, required=False)
        self._set_weight("beta", beta, required=False)
        if fused_neuron_descriptor is not None:
            self._set_weight("neuron_data", fused_neuron_descriptor.data, required=False)


class InstanceNormalization(UnaryKernel):
    """gamma (x - mean) / sqrt(variance + epsilon) + beta, as MPSCNNInstanceNormalization.

    Mean and variance (divided by the number of pixels) are those of each channel of each image; the whole source is
    read and the whole result written.
    """

    apple_class = "MPSCNNInstanceNormalization"

    number_of_feature_channels = Integer("Feature channels of the source.")
    epsilon = Number("Added to the variance, above zero.")

    def __init__(self, gamma: Any, beta: Any = None, **properties: Any) -> None:
        super().__init__(number_of_feature_channels=np.size(gamma), **properties)
        self._set_weight("gamma", gamma)
        self._set_weight("beta", beta, required=False)


class GroupNormalization(UnaryKernel):
    """As `InstanceNormalization`, of groups of consecutive channels, as MPSCNNGroupNormalization."""

    apple_class = "MPSCNNGroupNormalization"

    number_of_feature_channels = Integer("Feature channels of the source.")
    number_of_groups = Integer("Groups of consecutive channels.")
    epsilon = Number("Added to the variance, above zero.")

    def __init__(self, number_of_groups: int, gamma: Any, beta: Any = None, **properties: Any) -> None:
        super().__init__(
            number_of_groups=number_of_groups, number_of_feature_channels=np.size(gamma), **properties
        )
        self._set_weight("gamma", gamma)
        self._set_weight("beta", beta, required=False)


class CrossChannelNormalization(UnaryKernel):
    """x / (delta + alpha / kernel_size * sum of x^2)^beta, as MPSCNNCrossChannelNormalization.

    The sum is that of the channels [k - floor(kernel_size / 2), k + floor((kernel_size - 1) / 2)] that exist.
    """

    apple_class = "MPSCNNCrossChannelNormalization"

    kernel_size = Integer("Channels of the window, and the divisor everywhere.")
    alpha = Number("Factor of the mean square.")
    beta = Number("Exponent.")
    delta = Number("Added to the scaled mean square.")

    def __init__(self, kernel_size: int = 5, **properties: Any) -> None:
        super().__init__(kernel_size=kernel_size, **properties)


class _WindowNormalization(UnaryKernel):
    """Windows of neighbouring pixels: from floor(k / 2) before a pixel to floor((k - 1) / 2) behind it."""

    kernel_width = Integer("Columns of the window, as many as rows.")
    kernel_height = Integer("Rows of the window.")
    alpha = Number("Factor of the mean square or variance.")
    beta = Number("Exponent.")
    delta = Number("Added to the scaled mean square or variance.")

    def __init__(self, kernel_width: int, kernel_height: int, **properties: Any) -> None:
        super().__init__(kernel_width=kernel_width, kernel_height=kernel_height, **properties)


class SpatialNormalization(_WindowNormalization):
    """x / (delta + alpha * mean of x^2 over the window)^beta, as MPSCNNSpatialNormalization.

    The mean divides by kernel_width * kernel_height everywhere.
    """

    apple_class = "MPSCNNSpatialNormalization"


class LocalContrastNormalization(_WindowNormalization):
    """pm + ps (x - p0 mean) / (delta + alpha * variance)^beta, as MPSCNNLocalContrastNormalization.

    Mean and variance over the window divide by kernel_width * kernel_height everywhere.
    """

    apple_class = "MPSCNNLocalContrastNormalization"

    p0 = Number("Factor of the mean that is subtracted.")
    pm = Number("Added to the result.")
    ps = Number("Factor of the result.")
