"""Quantised networks as ONNX nodes: each tensor goes through integers, QuantizeLinear and DequantizeLinear.

Engines that know the pattern compute the operators between such pairs in integers; others compute the same in floats.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.onnx_writer.builder import Builder
from mpscnn.errors import ParameterError

if TYPE_CHECKING:
    from mpscnn.graph.network import Network

_STORED_ZERO = 128  # of int8 weights, which networks hold as uint8


class Integers:
    """The integers of a network's tensors and weights.

    Raises ParameterError for a network without any.
    """

    def __init__(self, builder: Builder, network: Network) -> None:
        structure = network.to_dict()
        entries = [*structure["inputs"], *structure["nodes"]]
        self._builder = builder
        self._stated: dict[str, dict[str, Any]] = {
            entry["name"]: entry["quantization"] for entry in entries if "quantization" in entry
        }
        if not self._stated:
            raise ParameterError(
                f"network {network.name!r} has no integers to write as uint8: mpscnn quantize makes a network that "
                "has, or write float32"
            )
        self._network = network
        self._kept = {node["name"] for node in structure["nodes"] if node.get("keep_float32")}
        #: Values that layers in float32 read without rounding to integers.
        self._plain = self._kept | {entry["name"] for entry in structure["inputs"]}
        self._read: dict[str, str] = {}
        self._constants: dict[str, list[str]] = {}

    def result(self, result: str, layer: str) -> str:
        """Return the name of a layer's result for its readers: rounded to integers, unless the layer is in float32."""
        return result if layer in self._plain else self._through(result, layer)

    def read(self, result: str, value: str, layer: str) -> str:
        """Return the name in the ONNX graph of the value that a layer reads: an input, or another layer's result."""
        if layer in self._kept or value not in self._plain:
            return result
        if value not in self._read:
            self._read[value] = self._through(result, value)
        return self._read[value]

    def _through(self, result: str, value: str) -> str:
        """A number that has become the nearest integer and a number again; without integers it stays unchanged."""
        if value not in self._stated:
            return result
        if value not in self._constants:
            stated = self._stated[value]
            self._constants[value] = [
                self._builder.stored(np.asarray(stated["scale"], np.float32), f"{value}.scale"),
                self._builder.stored(np.asarray(stated["zero_point"], stated["type"]), f"{value}.zero_point"),
            ]
        constants = self._constants[value]
        integers = self._builder.add("QuantizeLinear", [result, *constants], value)
        return self._builder.add("DequantizeLinear", [integers, *constants], value)

    def weight(
        self, layer: str, role: str, shape: tuple[int, ...], order: tuple[int, ...] | None
    ) -> str | None:
        """Return a layer's weight as numbers made of integers; None where it has none.

        Args:
            layer: its name.
            role: "weight" or "bias".
            shape: of the result; the first axis is that of the outputs.
            order: of its axes before it gets that shape; None: unchanged.
        """
        values, scales, zero_points = self._network.graph.get_weight(layer, role)
        if not len(scales):
            return None
        arranged = values if order is None else values.transpose(order)
        integers, zeros = _as_onnx(arranged.reshape(shape), np.asarray(zero_points))
        name = f"{layer}.{role}"
        one = len(scales) == 1
        numbers = np.asarray(scales, np.float32)
        inputs = [
            self._builder.stored(integers, name),
            self._builder.stored(numbers.reshape(()) if one else numbers, f"{name}.scale"),
        ]
        if zeros is not None:
            inputs.append(self._builder.stored(zeros.reshape(()) if one else zeros, f"{name}.zero_point"))
        return self._builder.add("DequantizeLinear", inputs, f"{name}.number", axis=0)


def _as_onnx(values: NDArray[Any], zero_points: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """Integers and their zero points. Biases have none; weights around the middle are int8, as engines want them."""
    if values.dtype == np.int32:
        return values, None
    if np.all(zero_points == _STORED_ZERO):
        return (values.astype(np.int16) - _STORED_ZERO).astype(np.int8), np.zeros(len(zero_points), np.int8)
    return values, np.asarray(zero_points, np.uint8)
