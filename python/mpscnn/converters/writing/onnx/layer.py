"""A layer of the network that is being written, and its ONNX nodes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.writing.onnx.builder import Builder, Value
from mpscnn.converters.writing.onnx.integers import Integers
from mpscnn.errors import WeightsError


class Layer:
    """A layer of the network with its inputs, attributes and weights, and methods that add ONNX nodes for it."""

    def __init__(
        self,
        builder: Builder,
        entry: Mapping[str, Any],
        inputs: list[Value],
        shape: tuple[int, ...],
        weights: Mapping[str, NDArray[Any]],
        integers: Integers | None = None,
    ) -> None:
        self.builder = builder
        self.name: str = entry["name"]
        self.attributes: Mapping[str, Any] = entry["attributes"]
        self.inputs = inputs
        self.shape = shape
        self._weights = weights
        self._integers = integers
        #: Whether all layers that read the result broadcast a batch of one, as elementwise operations do.
        self.repeats_images = False
        #: For a recurrent layer: the dense layer before it, if ONNX' LSTM or GRU node computes that, too.
        self.product: Layer | None = None

    def add(self, operation: str, *inputs: str, **attributes: Any) -> str:
        """Add an ONNX node for this layer."""
        return self.builder.add(operation, inputs, self.name, **attributes)

    def as_number(self, name: str) -> str:
        """Add a cast of truth values or integers to the graph's float type."""
        return self.add("Cast", name, to=self.builder.number)

    def constant(self, values: NDArray[Any] | float | list[int] | list[float], role: str) -> str:
        """Add a constant for this layer."""
        return self.builder.constant(values, f"{self.name}.{role}")

    def weight(self, role: str) -> NDArray[np.float32] | None:
        """Return a weight of this layer; None if it is not set."""
        values = self._weights.get(f"{self.name}.{role}")
        return None if values is None else values.astype(np.float32)

    def required(self, role: str) -> NDArray[np.float32]:
        """Return a weight of this layer. Raises WeightsError if it is not set."""
        values = self.weight(role)
        if values is None:
            raise WeightsError(f"layer {self.name!r}: {role} is missing; load weights first")
        return values

    def parameter(
        self, role: str, order: tuple[int, ...] | None = None, shape: tuple[int, ...] | None = None
    ) -> str:
        """Add a weight, which must be set, and return its name. Integer weights of quantised layers stay integers.

        Args:
            role: "weight" or "bias".
            order: a transposition of the weight, or None.
            shape: the shape after the transposition; None: unchanged.
        """
        values = self.required(role)
        values = values if order is None else values.transpose(order)
        shape = values.shape if shape is None else shape
        if self._integers is not None:
            name = self._integers.weight(self.name, role, shape, order)
            if name is not None:
                return name
        return self.constant(values.reshape(shape), role)

    def per_channel(self, values: NDArray[Any]) -> NDArray[Any]:
        """Reshape values for each feature channel so that they broadcast over this layer's result."""
        return values.reshape(-1, 1, 1) if len(self.shape) == 4 else values
