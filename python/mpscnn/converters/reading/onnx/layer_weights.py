"""Set the weights of the layers that nodes of an ONNX file become, and keep which constants of the file they are."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.opening.broadcast_views import is_filled
from mpscnn.converters.reading.onnx.constants import Constants
from mpscnn.converters.reading.onnx.parameters import Parameters
from mpscnn.graph.network import Network

# A weight whose elements are all one number is stored as 8-bit integers if it has more elements than this.
_LARGE_FILLED = 1 << 16


class LayerWeights:
    """The weights of a network's layers.

    Args:
        network: the network.
        constants: the constants of the file.
        parameters: the trainable parameters of the module that was exported to the file.
    """

    def __init__(self, network: Network, constants: Constants, parameters: Parameters) -> None:
        self._network = network
        self._constants = constants
        self._parameters = parameters
        # The names of constants in the file that are weights, by layer and role; None: a weight is no such constant.
        self._sources: dict[tuple[str, str], str | None] = {}
        self._claims: list[tuple[str, str, str]] = []  # parameters, with the layer and role of their weight

    def has(self, layer: str, role: str) -> bool:
        """Return True if a weight of a layer is set."""
        return (layer, role) in self._sources

    def source(self, layer: str, role: str) -> str | None:
        """Return the constant of the file that a weight is; None: it is none."""
        return self._sources.get((layer, role))

    def claim(self, name: str, layer: str, role: str) -> None:
        """Record that a weight is a trainable parameter of the file."""
        self._claims.append((name, layer, role))

    def set(self, layer: str, role: str, values: NDArray[np.generic], name: str | None = None) -> None:
        """Set a weight of a layer, in the layer's memory order.

        `name` is the constant of the file that has the same elements, each once and unchanged; None: there is none.
        """
        is_one_number = is_filled(values)
        self._constants.count_weight(4 * values.size, is_filled=is_one_number)
        self._sources[layer, role] = name
        if (
            name is not None
            and self._parameters.learns(name)
            and values.size == self._constants.size_of(name)
        ):
            self.claim(name, layer, role)
        if is_one_number and values.size > _LARGE_FILLED:
            # Each element is (0 - zero point) * scale, with the zero point -1 and the number as the scale.
            number = float(np.float32(values.reshape(-1)[0]))
            self._network.graph.set_weight(layer, role, np.zeros(values.shape, np.uint8), [number], [-1.0])
            return
        numbers = values.astype(np.float32, copy=False)
        # The core does not accept broadcast arrays (strides of 0).
        if is_one_number or not any(numbers.strides):
            numbers = np.ascontiguousarray(numbers)
        self._network.graph.set_weight(layer, role, numbers)

    def set_factors(self, layer: str, factors: Mapping[str, tuple[NDArray[np.generic], str | None]]) -> None:
        """Set the scale and offset of a normalization: by role, the arguments of `set`.

        A module without them is exported with scales of 1 and offsets of 0. For training these are not set, because
        they must not be trained.
        """
        for role, (values, name) in factors.items():
            neutral = 1.0 if role == "gamma" else 0.0
            is_parameter = name is not None and self._parameters.learns(name)
            if self._parameters.are_followed and not is_parameter and bool((values == neutral).all()):
                continue
            self.set(layer, role, values, name)

    def finish(self, network: Network, final: Mapping[str, str]) -> None:
        """Set the complete network, and its layers by their names until now."""
        self._network = network
        sources = self._sources.items()
        self._sources = {(final[layer], role): name for (layer, role), name in sources if layer in final}
        for name, layer, role in self._claims:
            if layer in final:
                self._parameters.claim(name, final[layer], role)
