"""Convert arrays between the layout of an ONNX file's inputs and outputs and the layout of the network."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Extents = tuple[int | None, ...]

IN_BETWEEN = frozenset({"Add", "Cast", "Div", "Identity", "Mul", "Sub", "QuantizeLinear", "DequantizeLinear"})
"""Operators that may come between an input and the transposition that shows the order of its axes."""


@dataclass(frozen=True)
class InputLayout:
    """How the axes of a file's input are ordered in the network's input.

    Attributes:
        axes: axis i of the network's input is axis axes[i] of the file's input. If the file's input has no batch, a
            batch of 1 is added in front of it, and `axes` counts this batch as axis 0.
        has_batch: whether the file's input has a batch.
        lacks: the number of the axis of the network's input, of extent 1, that the file's input lacks: the height of a
            sequence, or an axis after a last extent that is free. None: it has as many axes as the network's.
    """

    axes: tuple[int, ...]
    has_batch: bool
    lacks: int | None

    def arranged(self, array: NDArray[np.generic]) -> NDArray[np.generic]:
        """Convert an array from the layout of the file's input to the layout of the network's input."""
        if array.ndim == 0:
            return array.reshape(1, 1)
        moved: NDArray[np.generic] = (array if self.has_batch else array[np.newaxis]).transpose(self.axes)
        return moved if self.lacks is None else np.expand_dims(moved, self.lacks)


@dataclass(frozen=True)
class OutputLayout:
    """How the axes of a file's output are ordered in the network's output.

    Attributes:
        axes: axis i of the network's output is axis axes[i] of the file's output. If the file's output has no batch,
            i counts only the axes after the network's batch.
        has_batch: whether the first axis of the file's output is the batch.
    """

    axes: tuple[int, ...]
    has_batch: bool

    def restored(self, array: NDArray[np.generic]) -> NDArray[np.generic]:
        """Convert an array from the layout of the network's output to the layout of the file's output."""
        restored: NDArray[np.generic]
        if self.has_batch and array.ndim == len(self.axes):
            restored = array.transpose(sorted(range(array.ndim), key=self.axes.__getitem__))
        elif self.has_batch or not self.axes:  # the network's output has one more axis, of extent 1
            restored = array.reshape(array.shape[: len(self.axes)])
        else:
            restored = array.reshape(array.shape[1:])
        return restored
