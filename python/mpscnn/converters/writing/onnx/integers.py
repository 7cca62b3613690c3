"""Write quantised networks: each tensor passes through a pair of QuantizeLinear and DequantizeLinear.

Engines that know this pattern compute the operators between such pairs in integers. Other engines compute in floats.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.writing.onnx.builder import Builder
from mpscnn.errors import UnsupportedError
from mpscnn.graph.network import Network

_STORED_ZERO = 128  # networks store int8 weights as uint8, with 128 added


class Integers:
    """Writes the quantization of a network's tensors and weights."""

    def __init__(self, builder: Builder, network: Network) -> None:
        structure = network.to_dict()
        entries = [*structure["inputs"], *structure["nodes"]]
        self._builder = builder
        self._stated: dict[str, dict[str, Any]] = {
            entry["name"]: entry["quantization"] for entry in entries if "quantization" in entry
        }
        self._network = network
        self._kept = {node["name"] for node in structure["nodes"] if node.get("keep_float32")}
        #: Inputs and results of float32 layers. Other float32 layers read them without rounding to integers.
        self._plain = self._kept | {entry["name"] for entry in structure["inputs"]}
        self._read: dict[str, str] = {}
        self._written: set[str] = set()
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
        """Add a pair of QuantizeLinear and DequantizeLinear. A value without a quantization stays unchanged."""
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
        """Add a layer's integer weight and its DequantizeLinear; None if the weight has no integers.

        Args:
            layer: the name of the layer.
            role: "weight" or "bias".
            shape: the shape of the result. The first axis is that of the output channels.
            order: a transposition of the weight before it gets that shape, or None.
        """
        values, scales, zero_points = self._network.graph.get_weight(layer, role)
        if not len(scales):
            return None
        self._written.add(f"{layer}.{role}")
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

    def require_all_written(self) -> None:
        """Raise UnsupportedError if the 8-bit weights of a layer were written as floats."""
        for spec in self._network.weight_specs():
            name = f"{spec['layer']}.{spec['role']}"
            if not spec["set"] or name in self._written:
                continue
            if self._network.graph.get_weight(spec["layer"], spec["role"])[0].dtype == np.uint8:
                raise UnsupportedError(
                    f"layer {spec['layer']!r}: its 8-bit weights cannot be written to ONNX as integers; "
                    "dtype='float32' (--dtype float32) writes the network with floats"
                )


def _as_onnx(values: NDArray[Any], zero_points: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """Return integers and their zero points in ONNX' form.

    Biases have no zero points. Weights with the zero point 128 become int8 with the zero point 0, which engines prefer.
    """
    if values.dtype == np.int32:
        return values, None
    if np.all(zero_points == _STORED_ZERO):
        return (values.astype(np.int16) - _STORED_ZERO).astype(np.int8), np.zeros(len(zero_points), np.int8)
    return values, np.asarray(zero_points, np.uint8)
