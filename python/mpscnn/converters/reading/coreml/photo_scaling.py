"""Read the preprocessing of an image input from the operations that coremltools puts before all others.

A program has no fields for preprocessing, and a neural network has only one scale for all channels. So coremltools
writes `sample * scale + bias` as the operations `<input>__scaled__` and `<input>__biased__`. It may combine both into
one batch normalization, `<input>__biased__`. mpscnn's writer uses the same names.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.reading.coreml.features import ORDERS, Feature, Photo

Numbers = tuple[NDArray[Any], NDArray[Any]]
"""The scale and the bias of an operation, each with one number or one number for each channel."""
SCALED, BIASED = "__scaled__", "__biased__"
"""The names of these operations are the input's name and one of these endings."""


class PhotoScaling:
    """The scale and bias of an image input.

    Args:
        photo: the only input of the model, an image of 8-bit samples.
        reads: the names of the values that the operations read, one name for each operand of each operation.
    """

    def __init__(self, photo: Feature, reads: Iterable[str]) -> None:
        self._name, self._order = photo.name, ORDERS[photo.color]
        self._channels = 1 if self._order == "gray" else 3
        self._readers = Counter(reads)
        self._last = photo.name
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
        if list(reads) != [self._last] or self._readers[self._last] != 1 or len(makes) != 1:
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
