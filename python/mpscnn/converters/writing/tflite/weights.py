"""Write the weights of layers as constants: floats, halves, or 8-bit integers with their scales."""

from __future__ import annotations

from collections.abc import Container
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.values.integer_limits import Grid
from mpscnn.converters.writing.tflite.builder import Builder, Value
from mpscnn.errors import UnsupportedError, WeightsError
from mpscnn.graph.network import Network

_STORED_ZERO = 128  # networks store int8 weights as uint8, with 128 added


class Weights:
    """The weights of a network, and how the file stores them.

    Args:
        builder: the graph.
        network: the network.
        dtype: "float32", "float16", or "uint8" for weights that stay integers.
    """

    def __init__(self, builder: Builder, network: Network, dtype: str) -> None:
        self._builder = builder
        self._network = network
        self._numbers = network.weights
        self._dtype = dtype
        self._written: set[tuple[str, str]] = set()

    def numbers(self, layer: str, role: str) -> NDArray[np.float32] | None:
        """Return a weight as floats; None if it is not set."""
        values = self._numbers.get(f"{layer}.{role}")
        return None if values is None else values.astype(np.float32)

    def required(self, layer: str, role: str) -> NDArray[np.float32]:
        """Return a weight as floats. Raises WeightsError if it is not set."""
        values = self.numbers(layer, role)
        if values is None:
            raise WeightsError(f"layer {layer!r}: {role} is missing; load weights first")
        return values

    def stored(self, layer: str, role: str) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """Return the integers of a weight with their scales and zero points. Weights of floats have no scales."""
        values, scales, zero_points = self._network.graph.get_weight(layer, role)
        return np.asarray(values), np.asarray(scales, np.float32), np.asarray(zero_points, np.float32)

    def written(
        self,
        layer: str,
        role: str,
        order: tuple[int, ...] | None,
        shape: tuple[int, ...] | None,
        grid: Grid | None,
    ) -> Value:
        """Add a weight, which must be set, to the graph.

        With `grid`, the quantization of the layer's result, the result is the weight's integers. Otherwise the result
        is floats, and weights that the file stores in another type pass through a DEQUANTIZE.
        """
        values = self.required(layer, role)
        name = f"{layer}/{role}"
        integers, scales, zero_points = self.stored(layer, role)
        if grid is not None or (self._dtype == "uint8" and len(scales) and integers.dtype == np.uint8):
            self._written.add((layer, role))
            is_uint8 = grid is not None and grid.dtype == np.uint8
            arranged = _arranged(integers, order, shape)
            constant = self._of_integers(name, arranged, scales, zero_points, order, is_uint8=is_uint8)
            return constant if grid is not None else self._numbers_of(constant, name)
        floats = _arranged(values, order, shape)
        if self._dtype == "float16" and role == "weight":
            return self._numbers_of(self._builder.constant(_halves(floats, name), name), name)
        return self._builder.constant(floats, name)

    def require_all_written(self, layers: Container[str]) -> None:
        """Raise UnsupportedError if the 8-bit weights of a layer were written as floats, although integers stay."""
        if self._dtype != "uint8":
            return
        for spec in self._network.weight_specs():
            layer, role = spec["layer"], spec["role"]
            if layer not in layers or not spec["set"] or (layer, role) in self._written:
                continue
            if self.stored(layer, role)[0].dtype == np.uint8:
                raise UnsupportedError(
                    f"layer {layer!r}: its 8-bit weights cannot be written to TensorFlow Lite as integers; "
                    "dtype='float32' (--dtype float32) writes the network with floats"
                )

    def _numbers_of(self, constant: Value, name: str) -> Value:
        result = self._builder.tensor(f"{name}/numbers", constant.shape)
        self._builder.add("DEQUANTIZE", [constant], [result])
        return result

    def _of_integers(
        self,
        name: str,
        integers: NDArray[Any],
        scales: NDArray[np.float32],
        zero_points: NDArray[np.float32],
        order: tuple[int, ...] | None,
        *,
        is_uint8: bool,
    ) -> Value:
        """Add a constant of integers. Unless the layer computes with uint8, weights become int8."""
        zeros = np.rint(zero_points).astype(np.int64)
        if integers.dtype == np.int32:
            zeros = np.zeros_like(zeros)
        elif not is_uint8:
            integers, zeros = (integers.astype(np.int16) - _STORED_ZERO).astype(np.int8), zeros - _STORED_ZERO
        axis = 0 if order is None or len(scales) == 1 else order.index(0)
        return self._builder.constant(integers, name, scales=scales, zero_points=zeros, axis=axis)


def _arranged(
    values: NDArray[Any], order: tuple[int, ...] | None, shape: tuple[int, ...] | None
) -> NDArray[Any]:
    moved = values if order is None else values.transpose(order)
    return moved if shape is None else moved.reshape(shape)


def _halves(values: NDArray[np.float32], name: str) -> NDArray[np.float16]:
    with np.errstate(over="ignore"):
        halves = values.astype(np.float16)
    if np.isinf(halves).any() and not np.isinf(values).any():
        raise WeightsError(f"{name}: has numbers beyond the range of float16 (65504); write float32")
    return halves
