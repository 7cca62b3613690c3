"""Define normalization kernels."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mpscnn.kernels.fields import GroupNormalizationFields, ScaledNormalizationFields
from mpscnn.kernels.gradient import DifferentiableKernel, WeightedGradientKernel, WeightGradientState
from mpscnn.kernels.kernel import Kernel, require_type
from mpscnn.runtime.feature_image import Image

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from mpscnn.kernels.named import ScaledNormalizationGradientProperties, ScaledNormalizationProperties


class NormalizationGammaAndBetaState:
    """A state with gamma and beta, [channels] each, as MPSCNNNormalizationGammaAndBetaState.

    Weights computed by an optimiser are available when its command buffer is completed. Reading them earlier raises
    StateError.
    """

    def __init__(
        self,
        gamma: NDArray[Any] | Callable[[], NDArray[Any]] | None,
        beta: NDArray[Any] | Callable[[], NDArray[Any]] | None = None,
    ) -> None:
        self._gamma, self._beta = gamma, beta

    @property
    def gamma(self) -> NDArray[Any] | None:
        """gamma; None for ones."""
        return self._gamma() if callable(self._gamma) else self._gamma

    @property
    def beta(self) -> NDArray[Any] | None:
        """beta; None for zeros."""
        return self._beta() if callable(self._beta) else self._beta


class ScaledNormalization(ScaledNormalizationFields, Kernel):
    """Base class of normalizations with gamma and beta."""

    def reload_gamma_and_beta(self, state: NormalizationGammaAndBetaState) -> None:
        """Replace gamma and beta for later `encode` calls; None means 1 and 0.

        Raises WeightsError for other sizes and for values that are not finite; then nothing has changed.
        """
        require_type(type(self).__name__, state, NormalizationGammaAndBetaState)
        self._reload({"gamma": state.gamma, "beta": state.beta})


class ScaledNormalizationGradientState(WeightGradientState):
    """A state in which a gradient kernel stores the gradients of gamma and beta."""

    def __init__(self, kernel: Any, source: Image | None = None) -> None:
        super().__init__(kernel, source)
        self._kernel = kernel

    @property
    def gamma(self) -> NDArray[Any]:
        """A copy of the forward kernel's gamma, [channels]."""
        gamma: NDArray[Any] = self._kernel._kernel.weight("gamma")
        return gamma

    @property
    def beta(self) -> NDArray[Any]:
        """A copy of the forward kernel's beta, [channels]."""
        beta = self._kernel._weight("beta")
        return np.zeros_like(self.gamma) if beta is None else beta

    @property
    def gradient_for_gamma(self) -> NDArray[np.float32]:
        """A copy of gamma's gradient, [channels].

        Raises StateError if the gradient kernel's command buffer is not completed.
        """
        return self._gradient("gamma").reshape(-1)

    @property
    def gradient_for_beta(self) -> NDArray[np.float32]:
        """A copy of beta's gradient, [channels].

        Raises StateError if the gradient kernel's command buffer is not completed.
        """
        return self._gradient("beta").reshape(-1)


class InstanceNormalizationGradientState(ScaledNormalizationGradientState):
    """A state of an instance normalization, as MPSCNNInstanceNormalizationGradientState."""

    @property
    def instance_normalization(self) -> Any:
        """The kernel that the state is for."""
        return self._kernel


class GroupNormalizationGradientState(ScaledNormalizationGradientState):
    """A state of a group normalization, as MPSCNNGroupNormalizationGradientState."""

    @property
    def group_normalization(self) -> Any:
        """The kernel that the state is for."""
        return self._kernel


class InstanceNormalization(ScaledNormalization, DifferentiableKernel):
    """gamma (x - mean) / sqrt(variance + epsilon) + beta, as MPSCNNInstanceNormalization.

    Mean and variance (divided by the number of pixels) are computed for each channel of each image. The kernel reads
    the whole source and writes the whole result.
    """

    _state_class = InstanceNormalizationGradientState

    def __init__(
        self, gamma: Any, beta: Any = None, **properties: Unpack[ScaledNormalizationProperties]
    ) -> None:
        Kernel.__init__(self, {"number_of_feature_channels": np.size(gamma)}, **properties)
        self._set_weight("gamma", gamma)
        self._set_weight("beta", beta, required=False)

    def result_state(self, source: Image) -> InstanceNormalizationGradientState:
        """Return a new state for the gradient kernel, with gradients of gamma and beta."""
        return InstanceNormalizationGradientState(self, source)


class GroupNormalization(GroupNormalizationFields, ScaledNormalization, DifferentiableKernel):
    """Normalize groups of consecutive channels, otherwise like `InstanceNormalization`, as MPSCNNGroupNormalization."""

    _state_class = GroupNormalizationGradientState

    def __init__(
        self,
        number_of_groups: int,
        gamma: Any,
        beta: Any = None,
        **properties: Unpack[ScaledNormalizationProperties],
    ) -> None:
        stated = {"number_of_feature_channels": np.size(gamma)}
        Kernel.__init__(self, stated, number_of_groups=number_of_groups, **properties)
        self._set_weight("gamma", gamma)
        self._set_weight("beta", beta, required=False)

    def result_state(self, source: Image) -> GroupNormalizationGradientState:
        """Return a new state for the gradient kernel, with gradients of gamma and beta."""
        return GroupNormalizationGradientState(self, source)


class _ScaledGradient(ScaledNormalization, WeightedGradientKernel):
    """Computes the gradients of source, gamma and beta of a normalization that uses the statistics of each image."""

    _roles = ("gamma", "beta")

    _state_class: ClassVar[type[ScaledNormalizationGradientState]]

    def _require_weight_state(self, state: object) -> None:
        require_type(f"{type(self).__name__}.encode", state, self._state_class)

    def _load(self, gamma: Any, beta: Any) -> None:
        self._set_weight("gamma", gamma)
        self._set_weight("beta", np.zeros(self.number_of_feature_channels) if beta is None else beta)


class InstanceNormalizationGradient(_ScaledGradient):
    """Compute the gradients of an instance normalization's source, gamma and beta.

    Apple's class is MPSCNNInstanceNormalizationGradient.

    The gradients of gamma and beta are stored in the state. The kernel reads the whole
    gradient and writes the whole result.
    """

    forward_class = InstanceNormalization
    _state_class = InstanceNormalizationGradientState

    def __init__(
        self, gamma: Any, beta: Any = None, **properties: Unpack[ScaledNormalizationGradientProperties]
    ) -> None:
        Kernel.__init__(self, {"number_of_feature_channels": np.size(gamma)}, **properties)
        self._load(gamma, beta)


class GroupNormalizationGradient(GroupNormalizationFields, _ScaledGradient):
    """Compute the gradients of a `GroupNormalization`'s source, gamma and beta, as MPSCNNGroupNormalizationGradient."""

    forward_class = GroupNormalization
    _state_class = GroupNormalizationGradientState

    def __init__(
        self,
        number_of_groups: int,
        gamma: Any,
        beta: Any = None,
        **properties: Unpack[ScaledNormalizationGradientProperties],
    ) -> None:
        stated = {"number_of_feature_channels": np.size(gamma)}
        Kernel.__init__(self, stated, number_of_groups=number_of_groups, **properties)
        self._load(gamma, beta)
