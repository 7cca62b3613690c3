"""Define the base of the gradients of pooling kernels."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from mpscnn import _core
from mpscnn.kernels.families import Pooling
from mpscnn.kernels.fields import PoolingGradientFields
from mpscnn.kernels.gradient import GradientKernel
from mpscnn.kernels.kernel import UnaryKernel, allocate_image
from mpscnn.kernels.properties import KeptExtent
from mpscnn.runtime.commands import CommandBuffer
from mpscnn.runtime.feature_image import Image, TemporaryImage


class PoolingGradient(PoolingGradientFields, GradientKernel):
    """Base of the gradients of pooling kernels, like MPSCNNPoolingGradient. The result is as large as the source was.

    The arguments are those of the forward kernel. If `encode` gets no state of the forward kernel, set
    `kernel_offset`. The default of `kernel_offset` is right for a forward kernel whose first window begins at the
    first pixel (even sizes) or half a window before that pixel (odd sizes).
    """

    apple_class = "MPSCNNPoolingGradient"
    forward_class: ClassVar[type[UnaryKernel]] = Pooling

    source_size = KeptExtent(
        "(width, height, images): gradients outside of the part of the primary source that begins at primary_offset "
        "and is as large count as 0. None: all count."
    )

    def _encode(
        self, commands: CommandBuffer, sources: Sequence[Image], destination: Image | None, state: Any = None
    ) -> Image:
        gradient, image = sources
        return super()._encode(commands, [self._counted(commands, gradient), image], destination, state)

    def _counted(self, commands: CommandBuffer, gradient: Image) -> Image:
        """Return the gradient with zeros for the pixels outside of the part that `source_size` describes."""
        if self.source_size is None:
            return gradient
        self._require_arguments(commands, [gradient])
        result = allocate_image(commands, gradient.descriptor)
        result.write(np.zeros_like(result.read()))
        extents = (gradient.width, gradient.height, gradient.number_of_images)
        parts = list(zip(self.primary_offset, self.source_size, extents, strict=True))
        first = [max(offset, 0) for offset, _, _ in parts]
        last = [min(offset + size, extent) for offset, size, extent in parts]
        x, y, z = first
        width, height, images = (end - begin for begin, end in zip(first, last, strict=True))
        if min(width, height, images) > 0:
            part = {"offset": [x, y, z], "clip_rect": [x, y, z, width, height, images]}
            copy = _core.Kernel("Slice", json.dumps(part))
            copy.encode(commands._commands, [gradient._image], result._image)
        elif isinstance(gradient, TemporaryImage):
            gradient.read_count -= 1  # nothing was encoded, so count the read here
        return result
