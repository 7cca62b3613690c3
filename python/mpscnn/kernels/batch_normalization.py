"""Define batch normalization, the kernel that computes statistics of batches, and the state with these statistics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mpscnn import _core
from mpscnn._private.copies import NoCopies
from mpscnn.errors import StateError
from mpscnn.kernels.classes import Slice
from mpscnn.kernels.fields import BatchNormalizationFields
from mpscnn.kernels.gradient import DeviceArray
from mpscnn.kernels.kernel import Kernel, UnaryKernel, require_type
from mpscnn.kernels.neuron_descriptor import NeuronDescriptor
from mpscnn.kernels.normalization import ScaledNormalization
from mpscnn.runtime.commands import CommandBuffer
from mpscnn.runtime.feature_image import Image

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from mpscnn.kernels.named import BatchNormalizationProperties, UnaryProperties


@dataclass
class NormalizationMeanAndVarianceState:
    """A state with mean and variance, [channels] each, as MPSCNNNormalizationMeanAndVarianceState."""

    mean: NDArray[Any]
    variance: NDArray[Any]


class BatchNormalization(BatchNormalizationFields, ScaledNormalization, UnaryKernel):
    """gamma (x - mean) / sqrt(variance + epsilon) + beta for each channel, as MPSCNNBatchNormalization.

    Mean and variance are those of the constructor, or of the `BatchNormalizationState` passed to `encode`.

    Args:
        mean, variance: [channels]; not needed if every `encode` gets a state.
        gamma, beta: [channels]; 1 and 0 by default.
        fused_neuron_descriptor: an activation for the result.
        number_of_feature_channels: needed if no array is given.
    """

    def __init__(
        self,
        mean: Any = None,
        variance: Any = None,
        gamma: Any = None,
        beta: Any = None,
        *,
        fused_neuron_descriptor: NeuronDescriptor | None = None,
        **properties: Unpack[BatchNormalizationProperties],
    ) -> None:
        weights = {"mean": mean, "variance": variance, "gamma": gamma, "beta": beta}
        sizes = [np.size(value) for value in weights.values() if value is not None]
        if sizes:
            properties = {"number_of_feature_channels": sizes[0], **properties}
        Kernel.__init__(self, fused_neuron_descriptor=fused_neuron_descriptor, **properties)
        for role, value in weights.items():
            self._set_weight(role, value, required=False)
        if fused_neuron_descriptor is not None:
            self._set_weight("neuron_data", fused_neuron_descriptor.data, required=False)

    def result_state(self) -> BatchNormalizationState:
        """Return a new state for the statistics of this kernel's sources."""
        return BatchNormalizationState(self)

    def reload_mean_and_variance(self, state: NormalizationMeanAndVarianceState) -> None:
        """Replace mean and variance for later `encode` calls without a `BatchNormalizationState`.

        Raises WeightsError for other sizes, a negative variance and values that are not finite; then nothing has
        changed.
        """
        require_type(type(self).__name__, state, NormalizationMeanAndVarianceState)
        self._reload({"mean": state.mean, "variance": state.variance})

    def encode(
        self,
        commands: CommandBuffer,
        source: Image,
        destination: Image | None = None,
        *,
        batch_normalization_state: BatchNormalizationState | None = None,
    ) -> Image:
        """Encode as `UnaryKernel.encode`. If a state is given, the kernel uses the state's statistics.

        It reads the statistics when the command buffer runs. Raises StateError if no statistics were encoded for the
        state, or if the state belongs to another queue.
        """
        return self._encode(commands, [source], destination, self._core_state(batch_normalization_state))

    def encode_batch(
        self,
        commands: CommandBuffer,
        sources: Sequence[Image],
        destinations: Sequence[Image] | None = None,
        *,
        batch_normalization_state: BatchNormalizationState | None = None,
    ) -> list[Image]:
        """Encode each image of a batch, and return the results."""
        state = self._core_state(batch_normalization_state)
        return self._encode_batch(commands, [sources], destinations, state)

    def _core_state(self, state: BatchNormalizationState | None) -> _core.BatchNormalizationState | None:
        if state is None:
            return None
        require_type(type(self).__name__, state, BatchNormalizationState)
        return state._state


class BatchNormalizationState(NoCopies):
    """The mean and variance of each channel over several batches, as MPSCNNBatchNormalizationState.

    `BatchNormalizationStatistics` adds batches to it, `BatchNormalization` uses it, and `reset` begins again. A state
    belongs to the command queue that uses it first; command buffers read and write it in the order in which they run.
    It lives as long as your program refers to it or an encoded kernel needs it. One thread at a time may use it.

    Args:
        batch_normalization: the kernel that the state is for.
    """

    _instead = "commands of a device write it; copy its mean and variance"

    def __init__(self, batch_normalization: BatchNormalization) -> None:
        require_type("BatchNormalizationState", batch_normalization, BatchNormalization)
        self._batch_normalization = batch_normalization
        self._state = _core.BatchNormalizationState(batch_normalization.number_of_feature_channels)
        self._gradients: DeviceArray | None = None

    @property
    def batch_normalization(self) -> BatchNormalization:
        """The kernel that the state is for."""
        return self._batch_normalization

    @property
    def mean(self) -> NDArray[np.float32]:
        """A copy of the mean, [channels].

        Raises StateError if there are no statistics yet, or while a command buffer uses the state.
        """
        return self._state.read()[0]

    @property
    def variance(self) -> NDArray[np.float32]:
        """A copy of the variance, [channels]: mean squared deviations, without Bessel's correction.

        Raises StateError like `mean`.
        """
        return self._state.read()[1]

    @property
    def gamma(self) -> NDArray[Any]:
        """A copy of the kernel's gamma, [channels]."""
        kernel = self._batch_normalization
        gamma = kernel._weight("gamma")
        return np.ones(kernel.number_of_feature_channels, np.float32) if gamma is None else gamma

    @property
    def beta(self) -> NDArray[Any]:
        """A copy of the kernel's beta, [channels]."""
        kernel = self._batch_normalization
        beta = kernel._weight("beta")
        return np.zeros(kernel.number_of_feature_channels, np.float32) if beta is None else beta

    @property
    def gradient_for_gamma(self) -> NDArray[np.float32]:
        """A copy of gamma's gradient, [channels]. Raises StateError if its command buffer is not completed."""
        gradient: NDArray[np.float32] = self._sums().read("BatchNormalizationState: the gradient of gamma")[
            0, 1, 0
        ]
        return gradient

    @property
    def gradient_for_beta(self) -> NDArray[np.float32]:
        """A copy of beta's gradient, [channels]. Raises StateError if its command buffer is not completed."""
        gradient: NDArray[np.float32] = self._sums().read("BatchNormalizationState: the gradient of beta")[
            0, 0, 0
        ]
        return gradient

    def _images(self, commands: CommandBuffer) -> dict[str, Image]:
        """Return the gradients of gamma and beta, as images of one pixel."""
        sums = self._sums().image
        rows = {"beta": (0, 0), "gamma": (0, 1)}
        size = (1, 1, sums.feature_channels)
        return {role: Slice(offset=row).encode(commands, sums, Image(*size)) for role, row in rows.items()}

    def _sums(self) -> DeviceArray:
        if self._gradients is None:
            raise StateError(
                "BatchNormalizationState: has no gradients; encode BatchNormalizationStatisticsGradient first"
            )
        return self._gradients

    def reset(self) -> None:
        """Begin the statistics again for everything that is encoded from now on. Encoded work is not affected."""
        self._state.reset()
        self._gradients = None


class BatchNormalizationStatistics(UnaryKernel):
    """Add the mean and variance of a batch to a state, as MPSCNNBatchNormalizationStatistics.

    All pixels have the same weight, whatever the size of the batches. Variances are divided by the number of elements.
    The whole source is read: `offset` must be (0, 0, z).
    """

    def __init__(self, **properties: Unpack[UnaryProperties]) -> None:
        Kernel.__init__(self, **properties)

    # Like Apple's class, this kernel has no destination.
    def encode(  # type: ignore[override]
        self, commands: CommandBuffer, source: Image, batch_normalization_state: BatchNormalizationState
    ) -> None:
        """Append the kernel to a command buffer. It adds the statistics of all images of the source to the state.

        Raises:
            ShapeError: the state has another number of channels.
            StateError: the state belongs to another queue, or the command buffer has been committed.
        """
        self._require_arguments(commands, [source])
        require_type(type(self).__name__, batch_normalization_state, BatchNormalizationState)
        self._kernel.encode_statistics(commands._commands, source._image, batch_normalization_state._state)

    def encode_batch(  # type: ignore[override]
        self,
        commands: CommandBuffer,
        sources: Sequence[Image],
        batch_normalization_state: BatchNormalizationState,
    ) -> None:
        """Encode each image of a batch."""
        self._require_batch(sources)
        for source in sources:
            self.encode(commands, source, batch_normalization_state)
