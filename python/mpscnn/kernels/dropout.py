"""Dropout."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mpscnn._private.copies import NoCopies
from mpscnn.errors import ShapeError, StateError
from mpscnn.kernels.kernel import Kernel, UnaryKernel, require_type
from mpscnn.kernels.properties import UNBOUNDED, Integer, Number, Size
from mpscnn.runtime.commands import CommandBuffer, CommandStatus
from mpscnn.runtime.feature_image import Image

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from mpscnn.kernels.named import DropoutProperties


class Dropout(UnaryKernel):
    """Each element kept with a probability and divided by it, otherwise 0, as MPSCNNDropout.

    The same seed gives the same mask on every engine; it is the one of the network layer `dropout`. The mask belongs to
    the pixels and channels that are written, and begins anew with every `encode`: several images in one `Image` have
    masks of their own, those of `encode_batch` the same. A `DropoutGradientState` shows it.
    """

    apple_class = "MPSCNNDropout"

    keep_probability = Number("Share of the elements that are kept, above 0, below 1.")
    seed = Integer("Of the random numbers.")
    mask_stride_in_pixels = Size(
        "(x, y, channels): 1, or 0 where the whole axis shares one element of the mask."
    )

    def __init__(
        self, keep_probability: float = 0.999, seed: int = 0, **properties: Unpack[DropoutProperties]
    ) -> None:
        Kernel.__init__(self, keep_probability=keep_probability, seed=seed, **properties)

    def result_state(self) -> DropoutGradientState:
        """A new state for a mask."""
        return DropoutGradientState()

    def encode(
        self,
        commands: CommandBuffer,
        source: Image,
        destination: Image | None = None,
        *,
        destination_state: DropoutGradientState | None = None,
    ) -> Image:
        """As `UnaryKernel.encode`; a `destination_state` gets the mask."""
        if destination_state is not None:
            require_type("Dropout.encode", destination_state, DropoutGradientState)
        result = super().encode(commands, source, destination)
        if destination_state is not None:
            destination_state._adopt(commands, self._encode_mask(commands, source, result))
        return result

    def encode_batch(
        self,
        commands: CommandBuffer,
        sources: Sequence[Image],
        destinations: Sequence[Image] | None = None,
        *,
        destination_states: Sequence[DropoutGradientState] | None = None,
    ) -> list[Image]:
        """The same for each image of a batch."""
        if destination_states is None:
            return super().encode_batch(commands, sources, destinations)
        for state in destination_states:
            require_type("Dropout.encode_batch", state, DropoutGradientState)
        if len(destination_states) != len(sources):
            raise ShapeError(
                f"Dropout.encode_batch: there must be one state for each of the {len(sources)} images, "
                f"got {len(destination_states)}"
            )
        results = super().encode_batch(commands, sources, destinations)
        for source, result, state in zip(sources, results, destination_states, strict=True):
            state._adopt(commands, self._encode_mask(commands, source, result))
        return results

    def _encode_mask(self, commands: CommandBuffer, source: Image, result: Image) -> Image:
        """The result for ones, as many as the mask has elements."""
        size = result.descriptor
        x, y, z, width, height, depth = self.clip_rect or (0, 0, 0, *3 * [UNBOUNDED])
        stride_x, stride_y, stride_channels = self.mask_stride_in_pixels
        channels = source.feature_channels - self.source_feature_channel_offset
        shape = (
            min(depth, size.number_of_images - z),
            min(height, size.height - y) if stride_y else 1,
            min(width, size.width - x) if stride_x else 1,
            min(channels, self.source_feature_channel_max_count) if stride_channels else 1,
        )
        plain = Dropout(self.keep_probability, self.seed, mask_stride_in_pixels=self.mask_stride_in_pixels)
        return plain.encode(commands, Image.from_numpy(np.ones(shape, np.float32)))


class DropoutGradientState(NoCopies):
    """The mask of an encoded `Dropout`, as MPSCNNDropoutGradientState. Encoding again replaces it."""

    _instead = "it belongs to a command buffer; copy its mask"

    def __init__(self) -> None:
        self._commands: CommandBuffer | None = None
        self._image: Image | None = None

    def _adopt(self, commands: CommandBuffer, image: Image) -> None:
        self._commands, self._image = commands, image

    @property
    def mask(self) -> NDArray[np.bool_]:
        """Which elements are kept: (images, rows, columns, channels) of what is written, 1 where all share one element.

        Raises StateError before a kernel has been encoded with the state and its command buffer is completed.
        """
        if self._commands is None or self._image is None:
            raise StateError("DropoutGradientState: has no mask; encode a Dropout with it first")
        status = self._commands.status
        if status != CommandStatus.COMPLETED:
            raise StateError(
                f"DropoutGradientState: has no mask, the status of its command buffer is {status.name.lower()}"
            )
        mask: NDArray[np.bool_] = self._image.read() != 0
        return mask
