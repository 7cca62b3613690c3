"""A call of a Keras layer that is being converted.

It has the arguments of the call, the weights and the name of the layer, and the network that is being built.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.keras.config import KerasLayer
from mpscnn.converters.keras.functions import Function, resolve_activation
from mpscnn.converters.keras.settings import Settings
from mpscnn.converters.keras.weights import Path, WeightSource
from mpscnn.converters.layer_names import LayerNames
from mpscnn.errors import UnsupportedError, WeightsError
from mpscnn.graph.layers.layer_maker import Tensor
from mpscnn.graph.network import Network


class LayerCall:
    """One call of a layer, for the functions that convert layers. `arguments` has tensors, constants, and lists."""

    def __init__(
        self,
        network: Network,
        layer: KerasLayer,
        path: Path,
        arguments: list[Any],
        keywords: dict[str, Any],
        *,
        names: LayerNames,
        weights: WeightSource,
        generation: int,
    ) -> None:
        self.network = network
        self.layer = layer
        self.settings: Settings = layer.settings
        self.arguments = arguments
        self.keywords = keywords
        self.generation = generation
        self._path = path
        self._names = names
        self._weights = weights

    def name(self, suffix: str = "") -> str:
        """Return a unique name for a layer of the network: "model/layer" plus a suffix."""
        return self._names.unique("/".join(self._path) + suffix)

    def inputs(self) -> list[Tensor]:
        """Return the tensors that the layer is called with, at least one."""
        first = self.arguments[0] if self.arguments else None
        given = first if isinstance(first, list) else self.arguments
        tensors = [one for one in given if isinstance(one, Tensor)]
        if not tensors or len(tensors) < len(given):
            raise UnsupportedError("is called with something other than results of layers")
        return tensors

    def x(self) -> Tensor:
        """Return the tensor that the layer is called with. Raises WeightsError for several."""
        tensors = self.inputs()
        if len(tensors) != 1:
            raise WeightsError(f"damaged: it has {len(tensors)} inputs instead of one")
        return tensors[0]

    def image(self) -> Tensor:
        """Return the only input, which must be an image (n, height, width, channels)."""
        x = self.x()
        if self.settings.text("data_format", "channels_last") != "channels_last":
            raise UnsupportedError("its images have the channels first; only channels_last is supported")
        if len(x.shape) != 4:
            raise UnsupportedError(f"it takes images here, its input is {x.shape}")
        return x

    def weights(self) -> dict[str, NDArray[np.float32]]:
        """Return the layer's weights by role."""
        return self._weights.of(self._path, self.layer)

    def set_weight(
        self,
        layer: str,
        role: str,
        values: NDArray[np.float32] | None,
        order: Sequence[int] | None = None,
    ) -> None:
        """Set a weight of the network, transposed to `order`. Does nothing if `values` is None."""
        if values is None:
            return
        moved = values if order is None else values.transpose(order)
        self.network.graph.set_weight(layer, role, moved)

    def function(self) -> Function:
        """Return the activation that the layer ends with."""
        return resolve_activation(self.settings.values.get("activation"), self.generation)

    def applied(self, function: Function) -> Tensor:
        """Apply an activation function to the only input, as separate layers."""
        x = self.x()
        if function.layers is not None:
            return function.layers(self.network, x, self.name())
        return x if function.neuron is None else self.network.activation(x, function.neuron, name=self.name())

    def finished(self, y: Tensor, function: Function) -> Tensor:
        """Add the layers of an activation function that is not a neuron (see `Function`); others are fused already."""
        if function.layers is None:
            return y
        return function.layers(self.network, y, self.name("/activation"))
