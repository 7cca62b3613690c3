"""Normalization kernels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.kernels.kernel import Kernel, UnaryKernel, require_type
from mpscnn.kernels.properties import Integer, Number

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from mpscnn.kernels.named import EpsilonProperties, LocalContrastProperties, WindowNormalizationProperties


@dataclass
class NormalizationGammaAndBetaState:
    """gamma and beta of a normalization as an object, as MPSCNNNormalizationGammaAndBetaState: [channels] each."""

    gamma: NDArray[Any] | None
    beta: NDArray[Any] | None = None


class ScaledNormalization(UnaryKernel):
    """A normalization with gamma and beta."""

    number_of_feature_channels = Integer("Feature channels of the source.")
    epsilon = Number("Added to the variance, above zero.")

    def reload_gamma_and_beta(self, state: NormalizationGammaAndBetaState) -> None:
        """Other gamma and beta for what is encoded from now on; None is 1 and 0.

        Raises WeightsError for other sizes and for values that are not finite; then nothing has changed.
        """
        require_type(type(self).__name__, state, NormalizationGammaAndBetaState)
        self._reload({"gamma": state.gamma, "beta": state.beta})


class InstanceNormalization(ScaledNormalization):
    """gamma (x - mean) / sqrt(variance + epsilon) + beta, as MPSCNNInstanceNormalization.

    Mean and variance (divided by the number of pixels) are those of each channel of each image; the whole source is
    read and the whole result written.
    """

    apple_class = "MPSCNNInstanceNormalization"

    def __init__(self, gamma: Any, beta: Any = None, **properties: Unpack[EpsilonProperties]) -> None:
        Kernel.__init__(self, number_of_feature_channels=np.size(gamma), **properties)
        self._set_weight("gamma", gamma)
        self._set_weight("beta", beta, required=False)


class GroupNormalization(ScaledNormalization):
    """As `InstanceNormalization`, of groups of consecutive channels, as MPSCNNGroupNormalization."""

    apple_class = "MPSCNNGroupNormalization"

    number_of_groups = Integer("Groups of consecutive channels.")

    def __init__(
        self, number_of_groups: int, gamma: Any, beta: Any = None, **properties: Unpack[EpsilonProperties]
    ) -> None:
        Kernel.__init__(
            self, number_of_groups=number_of_groups, number_of_feature_channels=np.size(gamma), **properties
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

    def __init__(self, kernel_size: int = 5, **properties: Unpack[WindowNormalizationProperties]) -> None:
        Kernel.__init__(self, kernel_size=kernel_size, **properties)


class _WindowNormalization(UnaryKernel):
    """Windows of neighbouring pixels: from floor(k / 2) before a pixel to floor((k - 1) / 2) behind it."""

    kernel_width = Integer("Columns of the window, as many as rows.")
    kernel_height = Integer("Rows of the window.")
    alpha = Number("Factor of the mean square or variance.")
    beta = Number("Exponent.")
    delta = Number("Added to the scaled mean square or variance.")

    def __init__(
        self, kernel_width: int, kernel_height: int, **properties: Unpack[WindowNormalizationProperties]
    ) -> None:
        Kernel.__init__(self, kernel_width=kernel_width, kernel_height=kernel_height, **properties)


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

    if TYPE_CHECKING:

        def __init__(
            self, kernel_width: int, kernel_height: int, **properties: Unpack[LocalContrastProperties]
        ) -> None: ...
