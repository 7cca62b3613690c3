"""Measure the range and distribution of a network's values on some images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.errors import ParameterError
from mpscnn.graph.network import Network
from mpscnn.quantization.inputs import Array, Given, batches
from mpscnn.quantization.ranges import Histogram
from mpscnn.runtime.program import named_results


@dataclass
class Seen:
    """The values of one input or layer on the images.

    Args:
        histogram: a histogram of all values.
        largest: the largest magnitude of each feature channel.
        mean: the mean of each feature channel; for the input of a dense layer, of each element.
    """

    histogram: Histogram = field(default_factory=Histogram)
    largest: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    mean: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    _images: int = 0

    def add(self, values: Array, by_element: bool) -> None:
        """Add the values of a batch."""
        self.histogram.add(values)
        axes = (0,) if by_element else tuple(range(values.ndim - 1))
        channels = np.abs(values).max(axis=tuple(range(values.ndim - 1))).astype(np.float64)
        mean = values.mean(axis=axes, dtype=np.float64)
        if not self._images:
            self.largest, self.mean = channels, np.zeros_like(mean)
        elif mean.shape != self.mean.shape:
            raise ParameterError(
                f"quantize: images of several sizes, (n, {mean.shape}) and (n, {self.mean.shape})"
            )
        self.largest = np.maximum(self.largest, channels)
        self._images += len(values)
        self.mean += (mean - self.mean) * (len(values) / self._images)


class Computed:
    """A compiled network that outputs the results of all its layers."""

    def __init__(self, network: Network, **options: Any) -> None:
        self.names = [node["name"] for node in network.to_dict()["nodes"]]
        self._session = network.compile(device="cpu", outputs=self.names, **options).session()

    def run(self, batch: Given) -> dict[str, Array]:
        """Return the values of the inputs and of all layers."""
        return {**batch, **named_results(self._session, list(batch.values()))}


def calibrate(network: Network, images: Sequence[Given]) -> dict[str, Seen]:
    """Measure the values of the inputs and of each layer on the images.

    Raises ParameterError if results are not finite.
    """
    engine = Computed(network, precision="float32")
    whole = {
        node["inputs"][0] for node in network.to_dict()["nodes"] if node["operation"] == "fully_connected"
    }
    seen: dict[str, Seen] = {}
    for batch in batches(images):
        for name, values in engine.run(batch).items():
            if not np.isfinite(values).all():
                what = "the images" if name in batch else f"the results of layer {name!r}"
                raise ParameterError(f"quantize: {what} are not all finite")
            seen.setdefault(name, Seen()).add(values, name in whole)
    return seen
