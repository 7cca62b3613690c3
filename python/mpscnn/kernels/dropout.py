"""Define dropout kernels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mpscnn.errors import StateError
from mpscnn.kernels.fields import DropoutFields
from mpscnn.kernels.gradient import DeviceArray, DifferentiableKernel
from mpscnn.kernels.kernel import UnaryKernel
from mpscnn.kernels.properties import UNBOUNDED
from mpscnn.kernels.states import GradientState
from mpscnn.runtime.commands import CommandBuffer
from mpscnn.runtime.feature_image import Image


class DropoutGradientState(GradientState):
    """A state with the mask of an encoded `Dropout`, as MPSCNNDropoutGradientState. Encoding again replaces it."""

    def __init__(self, kernel: UnaryKernel, source: Image | None = None) -> None:
        super().__init__(kernel, source)
        self._mask: DeviceArray | None = None

    @property
    def mask(self) -> NDArray[np.bool_]:
        """True for elements that are kept, with the axes (images, rows, columns, channels).

        An axis has extent 1 where all positions along it share one element.

        Raises StateError if no kernel was encoded with the state yet, or if its command buffer is not completed.
        """
        if self._mask is None:
            raise StateError("DropoutGradientState: has no mask; encode a Dropout with it first")
        mask: NDArray[np.bool_] = self._mask.read("DropoutGradientState: its mask") != 0
        return mask


class Dropout(DropoutFields, DifferentiableKernel):
    """Keep each element with a given probability p and divide it by p, or set it to 0, as MPSCNNDropout.

    The same seed gives the same mask on every engine, and in the network layer `dropout`. The mask covers the pixels
    and channels that are written, and is the same for every `encode`. Several images in one `Image` have different
    masks; separate images given to `encode_batch` have the same mask. A `DropoutGradientState` stores the mask.
    """

    _state_class = DropoutGradientState

    def result_state(self, source: Image | None = None) -> DropoutGradientState:
        """Return a new state for a mask and the gradient kernel."""
        return DropoutGradientState(self, source)

    def _after_encode(
        self, commands: CommandBuffer, source: Image, result: Image, state: GradientState
    ) -> None:
        super()._after_encode(commands, source, result, state)
        if isinstance(state, DropoutGradientState):
            state._mask = DeviceArray(commands, self._encode_mask(commands, source, result))

    def _encode_mask(self, commands: CommandBuffer, source: Image, result: Image) -> Image:
        """Encode the dropout of an image of ones with the size of the mask."""
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
