"""The order of the axes of an ONNX file's input in the network's input."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class InputLayout:
    """The order of the axes of a file's input in the network's input.

    Attributes:
        axes: which of the file's axes each of the network's is; a batch that the file's lacks counts as one.
        has_batch: whether the file's input has a batch.
        has_height: whether it has a height, where the network's is an image.
    """

    axes: tuple[int, ...]
    has_batch: bool
    has_height: bool

    def arranged(self, array: NDArray[np.generic]) -> NDArray[np.generic]:
        """Convert an array from the layout of the file's input to that of the network's."""
        moved: NDArray[np.generic] = (array if self.has_batch else array[np.newaxis]).transpose(self.axes)
        return moved if self.has_height else moved[:, np.newaxis]
