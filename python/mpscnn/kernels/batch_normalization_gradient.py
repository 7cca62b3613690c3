"""Define kernels for the gradients of batch normalizations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mpscnn.errors import ShapeError
from mpscnn.kernels.batch_normalization import BatchNormalizationState
from mpscnn.kernels.classes import Add
from mpscnn.kernels.fields import BatchNormalizationGradientFields
from mpscnn.kernels.gradient import DeviceArray
from mpscnn.kernels.kernel import Kernel, allocate_image, require_type
from mpscnn.runtime.commands import CommandBuffer
from mpscnn.runtime.feature_image import Image


class _BatchGradient(BatchNormalizationGradientFields, Kernel):
    """The base of both gradient kernels.

    They read whole images, and take gamma, beta and epsilon from the state's kernel.
    """

    def _follow(
        self, commands: CommandBuffer, images: Sequence[Image], state: object
    ) -> BatchNormalizationState:
        self._require_arguments(commands, images)
        require_type(type(self).__name__, state, BatchNormalizationState)
        assert isinstance(state, BatchNormalizationState)
        self.epsilon = state.batch_normalization.epsilon
        self._set_weight("gamma", state.gamma)
        self._set_weight("beta", state.beta)
        return state

    def _require_pairs(self, gradients: Sequence[Image], images: Sequence[Image]) -> None:
        self._require_batch(gradients)
        self._require_batch(images)
        if len(gradients) != len(images) or not images:
            raise ShapeError(
                f"{type(self).__name__}.encode_batch: batches must have one length above 0, "
                f"got {len(gradients)} and {len(images)}"
            )


class BatchNormalizationStatisticsGradient(_BatchGradient):
    """Compute the gradients of gamma and beta, and store them in the state.

    Apple's class is MPSCNNBatchNormalizationStatisticsGradient.

    Encode it before `BatchNormalizationGradient`, which needs these gradients, for all images of the state's
    statistics.
    """

    def encode(
        self,
        commands: CommandBuffer,
        source_gradient: Image,
        source_image: Image,
        batch_normalization_state: BatchNormalizationState,
    ) -> None:
        """Append the kernel to a command buffer. It stores the gradients in the state.

        Args:
            source_gradient: the gradient of the `BatchNormalization`'s result.
            source_image: the source of the `BatchNormalization`.
            batch_normalization_state: the state with the statistics of these images.

        Raises:
            ShapeError: sizes or channels differ.
            StateError: the state has no statistics or belongs to another queue.
        """
        self.encode_batch(commands, [source_gradient], [source_image], batch_normalization_state)

    def encode_batch(
        self,
        commands: CommandBuffer,
        source_gradients: Sequence[Image],
        source_images: Sequence[Image],
        batch_normalization_state: BatchNormalizationState,
    ) -> None:
        """Encode all images of a batch. Their gradients are added."""
        state = self._follow(commands, [*source_gradients, *source_images], batch_normalization_state)
        if len(source_images) != 1 or len(source_gradients) != 1:
            self._require_pairs(source_gradients, source_images)
        total: Image | None = None
        for pair in zip(source_gradients, source_images, strict=True):
            sums = self._encode(commands, pair, self._sums(commands, pair), state._state)
            total = sums if total is None else Add().encode(commands, total, sums)
        assert total is not None
        state._gradients = DeviceArray(commands, total)

    def _sums(self, commands: CommandBuffer, sources: Sequence[Image]) -> Image:
        return allocate_image(commands, self._destination_descriptor(sources))


class BatchNormalizationGradient(_BatchGradient):
    """Compute the gradient of a batch normalization's source, as MPSCNNBatchNormalizationGradient.

    The result is gamma / sqrt(variance + epsilon) * (g - mean(g) - normalized * mean(g * normalized)). g is the
    gradient of the normalization's result, and normalized is (source - mean) / sqrt(variance + epsilon). The means of g
    and of g * normalized are over all images of the batch; they are there because the statistics depend on the source.
    """

    def encode(
        self,
        commands: CommandBuffer,
        source_gradient: Image,
        source_image: Image,
        batch_normalization_state: BatchNormalizationState,
        destination: Image | None = None,
    ) -> Image:
        """Append the kernel to a command buffer and return the gradient of the source image.

        Raises:
            ShapeError: sizes or channels differ.
            StateError: the state has no gradients (encode `BatchNormalizationStatisticsGradient` first) or belongs to
                another queue.
        """
        (result,) = self.encode_batch(
            commands,
            [source_gradient],
            [source_image],
            batch_normalization_state,
            None if destination is None else [destination],
        )
        return result

    def encode_batch(
        self,
        commands: CommandBuffer,
        source_gradients: Sequence[Image],
        source_images: Sequence[Image],
        batch_normalization_state: BatchNormalizationState,
        destinations: Sequence[Image] | None = None,
    ) -> list[Image]:
        """Encode all images of a batch, and return the gradients. They must be the images of the state's gradients."""
        state = self._follow(commands, [*source_gradients, *source_images], batch_normalization_state)
        sums = state._sums().image
        count = len(source_images)
        if count != 1 or len(source_gradients) != 1:
            self._require_pairs(source_gradients, source_images)
            # The kernel divides by the number of pixels of one image.
            sums = Add(primary_scale=1 / count, secondary_scale=0.0).encode(commands, sums, sums)
        results: Sequence[Any] = [None] * count if destinations is None else destinations
        return [
            self._encode(commands, [gradient, image, sums], result, state._state)
            for gradient, image, result in zip(source_gradients, source_images, results, strict=True)
        ]
