"""Read the preprocessing of an image input from the operations that coremltools puts before all others.

A program has no fields for preprocessing, and a neural network has only one scale for all channels. So coremltools
writes `sample * scale + bias` as the operations `<input>__scaled__` and `<input>__biased__`. It may combine both into
one batch normalization, `<input>__biased__`. mpscnn's writers of Core ML and Core AI use the same names. In Core AI's
programs, operations before them unpack the pixels, and may swap red and blue.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.reading.coreml.features import Photo

Numbers = tuple[NDArray[Any], NDArray[Any]]
"""The scale and the bias of an operation, each with one number or one number for each channel."""
SCALED, BIASED = "__scaled__", "__biased__"
UNPACKED, SWAPPED = "__pixels__", "__swapped__"
"""The names of these operations are the input's name and one of these endings."""


class PhotoScaling:
    """The scale and bias of an image input.

    Args:
        name: the only input of the model, an image of 8-bit samples.
        order: the order of its channels: "rgb", "bgr" or "gray".
        reads: the names of the values that the operations read, one name for each operand of each operation.
    """

    def __init__(self, name: str, order: str, reads: Iterable[str]) -> None:
        self._name, self._order = name, order
        self._channels = 1 if self._order == "gray" else 3
        self._readers = Counter(reads)
        self._last = name
        self._scale, self._bias = np.ones(self._channels), np.zeros(self._channels)

    def takes(
        self, name: str, reads: Sequence[str], makes: Sequence[str], numbers: Callable[[], Numbers | None]
    ) -> bool:
        """Return True for an operation that becomes part of the preprocessing, and keep its numbers.

        Args:
            name: the name of the operation.
            reads, makes: the names of the values that it reads and computes.
            numbers: returns the scale and the bias, or None for an operation of another kind.
        """
        if not self._is_next(reads, makes):
            return False
        if name not in {self._name + suffix for suffix in (SCALED, BIASED)}:
            return False
        found = numbers()
        if found is None or any(one.size not in (1, self._channels) for one in found):
            return False
        scale, bias = (np.broadcast_to(one.reshape(-1), self._channels) for one in found)
        if not (np.all(np.isfinite(scale)) and np.all(np.isfinite(bias)) and np.all(scale)):
            return False
        self._scale, self._bias, self._last = self._scale * scale, self._bias * scale + bias, makes[0]
        return True

    def unpacks(self, name: str, reads: Sequence[str], makes: Sequence[str]) -> bool:
        """Return True for an operation that unpacks the pixels. It stays in the network."""
        if name != self._name + UNPACKED or not self._is_next(reads, makes):
            return False
        self._last = makes[0]
        return True

    def swaps(self, name: str, reads: Sequence[str], makes: Sequence[str]) -> bool:
        """Return True for an operation that swaps red and blue, which becomes the order of the preprocessing."""
        is_first = np.all(self._scale == 1) and not np.any(self._bias)
        if name != self._name + SWAPPED or not is_first or not self._is_next(reads, makes):
            return False
        self._order = {"bgr": "rgb", "rgb": "bgr"}[self._order]
        self._last = makes[0]
        return True

    def _is_next(self, reads: Sequence[str], makes: Sequence[str]) -> bool:
        """Return True for an operation that alone reads the last result."""
        return list(reads) == [self._last] and self._readers[self._last] == 1 and len(makes) == 1

    def photo(self) -> Photo:
        """Return the preprocessing."""
        step = -1 if self._order == "bgr" else 1  # a Photo lists scale and bias in the order RGB
        return Photo(self._order, self._scale.tolist()[::step], self._bias.tolist()[::step])


def batch_norm_scaling(
    gamma: NDArray[Any], beta: NDArray[Any], mean: NDArray[Any], variance: NDArray[Any], epsilon: float
) -> Numbers:
    """Return the scale and bias of a batch normalization."""
    scale = np.float64(gamma) / np.sqrt(np.float64(variance) + epsilon)
    return scale, np.float64(beta) - mean * scale
