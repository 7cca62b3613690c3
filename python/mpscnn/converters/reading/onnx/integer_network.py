"""Give a network the scales and integer weights of a quantized ONNX file, for precision "int8"."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.finishing.integer_scales import follow, quantized
from mpscnn.converters.finishing.simplify.simplifier import simplify_before_integers
from mpscnn.converters.reading.onnx.context import Context
from mpscnn.converters.values.integer_limits import Grid
from mpscnn.converters.values.stored_integers import StoredIntegers
from mpscnn.graph.integer_layers import PRODUCTS, Node, Scale, keeps_integers, refused_layers
from mpscnn.graph.network import Network

_SHOWN = 5
_STORED_ZERO = 128  # networks store int8 weights as uint8, with 128 added
_MAX_FACTOR = 2.0**30
_ROUNDING = 1e-6  # the relative tolerance for a bias's scale, which is the rounded product of two scales

Stored = tuple[NDArray[Any], NDArray[np.float32], NDArray[np.float32]]
"""Integers in the form that a network stores, their scales, and their zero points."""


def keep_integers(c: Context) -> None:
    """Set the quantization of tensors and the integer weights of a network.

    Layers without a quantization in the file, and layers that no engine computes in integers, stay float32. If that is
    the case for all convolutions and dense layers, or for all layers, the network gets no scales. A network whose file
    quantizes no tensors gets only the integer weights.
    """
    if not c.integers.quantized:
        _keep_weights(c)
        return
    _simplify(c)
    network = c.network
    made = _Integers(c)
    trial = Network.from_graph(network.graph.copy())
    trial.keep_float32(made.floats)
    scales = {name: Scale(own.step, own.zero_point) for name, own in made.grids.items()}
    refused = refused_layers(trial, scales, made.dtype)
    floats = [node["name"] for node in made.nodes if node["name"] in {*made.floats, *refused}]
    products = [node["name"] for node in made.nodes if node["operation"] in PRODUCTS]
    if set(products or made.names) <= set(floats):
        lacking = (
            "convolution or dense layer has integers for its input, weights, bias and result"
            if products
            else "layer has integers for its inputs and its result"
        )
        c.notes.append(f"no {lacking}: of QuantizeLinear and DequantizeLinear only the limits stay")
        return
    shift, dtype = 0 if made.dtype == "int8" else _STORED_ZERO, np.dtype(made.dtype)
    quantized(
        network, {key: Grid(own.step, own.zero_point + shift, dtype) for key, own in made.grids.items()}
    )
    network.keep_float32(floats)
    made.set_weights(set(made.names) - set(floats))
    c.notes.append(
        'precision "int8" computes in its integers; in others only the limits of QuantizeLinear and '
        "DequantizeLinear stay"
    )
    if floats:
        more = f" and {len(floats) - _SHOWN} more" if len(floats) > _SHOWN else ""
        c.notes.append(
            f'in precision "int8" {len(floats)} of {len(made.nodes)} layers stay in float32: '
            f"{', '.join(floats[:_SHOWN])}{more}"
        )


def _keep_weights(c: Context) -> None:
    """Set the integer weights of convolutions and dense layers. All precisions but "int8" compute the same numbers."""
    if not c.file.integers and "DequantizeLinear" not in c.file.kinds:
        return
    for node in c.network.to_dict()["nodes"]:
        if node["operation"] in PRODUCTS and (stored := _weight_integers(c, node["name"])) is not None:
            c.network.set_quantized_weight(f"{node['name']}.weight", *stored)


def _simplify(c: Context) -> None:
    """Merge layers that together compute an activation or convolution, if the file quantizes no result between.

    This comes before the integers, because an engine of integers computes an activation with the layer before it.
    """
    integers = c.integers.of_tensors
    c.network = simplify_before_integers(c.network, integers)
    left = set(c.network.layer_names())
    c.integers.of_tensors = {name: own for name, own in integers.items() if name in left}


def _is_limit(node: Node) -> bool:
    """Return True if a layer only clips to the range of integers. Rounding before or after it gives the same."""
    return bool(node["operation"] == "neuron" and node["attributes"]["kind"] == "clamp")


class _Integers:
    """The quantization of a network's tensors and weights that a file states.

    Attributes:
        names: the names of the network's layers.
        nodes: the descriptions of these layers.
        grids: the quantizations of inputs and layers as int8, by name.
        dtype: "uint8" if the file has only uint8 tensors, and one scale for each weight; otherwise "int8". TensorFlow
            Lite rounds the two differently.
        floats: the layers whose input, result or weights have no quantization.
    """

    def __init__(self, c: Context) -> None:
        self._c = c
        self.nodes: list[Node] = c.network.to_dict()["nodes"]
        self.names: list[str] = [node["name"] for node in self.nodes]
        self.grids = self._all_grids()
        self._set = {f"{spec['layer']}.{spec['role']}" for spec in c.network.weight_specs() if spec["set"]}
        self._found: dict[str, dict[str, Stored | None]] = {}  # by layer
        self.floats = [node["name"] for node in self.nodes if not self._is_complete(node)]
        several = any(
            stored is not None and stored[1].size > 1
            for name in set(self.names) - set(self.floats)
            for stored in self._found.get(name, {}).values()
        )
        self.dtype = "uint8" if c.integers.types == {"uint8"} and not several else "int8"

    def set_weights(self, layers: Collection[str]) -> None:
        """Set the integer weights of these layers, none of which is among `floats`."""
        for layer in layers:
            for name, stored in self._found.get(layer, {}).items():
                if stored is not None:
                    self._c.network.set_quantized_weight(name, *stored)

    def _all_grids(self) -> dict[str, Grid]:
        """Return the file's quantizations, and those that follow. A tensor has that of all its readers."""
        grids = self._c.integers.of_tensors
        readers: dict[str, list[Node | None]] = {}
        for node in self.nodes:
            if node["operation"] == "constant":
                continue  # a constant layer reads only the number of images from its input
            for name in node["inputs"]:
                readers.setdefault(name, []).append(node)
        for tensor in self._c.network.outputs:
            readers.setdefault(tensor.name, []).append(None)
        read_as: dict[str, Grid] = {}
        for name, those in readers.items():
            found = {grids.get(one["name"]) if one is not None and _is_limit(one) else None for one in those}
            if len(found) == 1 and (only := found.pop()) is not None:
                read_as[name] = only
        return read_as | follow(self.nodes, grids, read_as)

    def _is_complete(self, node: Node) -> bool:
        if any(name not in self.grids for name in (node["name"], *node["inputs"])):
            return False
        if keeps_integers(node) and self.grids[node["name"]] != self.grids[node["inputs"][0]]:
            return False
        if node["operation"] not in PRODUCTS:
            return True
        found = self._found[node["name"]] = self._weights(node)
        return None not in found.values()

    def _weights(self, node: Node) -> dict[str, Stored | None]:
        """Return the integer weights of a convolution or dense layer, by name.

        The entry is None for weights that are not integers in the file, or that precision "int8" cannot use.
        """
        name = node["name"]
        weight = _weight_integers(self._c, name)
        found: dict[str, Stored | None] = {f"{name}.weight": weight}
        if f"{name}.bias" in self._set:
            scale = np.float32(self.grids[node["inputs"][0]].step)
            found[f"{name}.bias"] = None if weight is None else self._bias(name, scale * weight[1])
        if weight is not None and not self._fits(node, weight, found.get(f"{name}.bias")):
            found[f"{name}.weight"] = None
        return found

    def _fits(self, node: Node, weight: Stored, bias: Stored | None) -> bool:
        """Return True if the layer can be computed with integers.

        The sums must fit into 32 bits. The factor that rescales them to integers of the result must not be too large.
        """
        source, result = self.grids[node["inputs"][0]].step, self.grids[node["name"]].step
        integers, scales, zero_points = weight
        along = (-1, *[1] * (integers.ndim - 1))
        each = np.abs(integers.astype(np.int64) - zero_points.astype(np.int64).reshape(along))
        sums = 255 * each.reshape(len(each), -1).sum(axis=1)
        if bias is not None:
            sums = sums + np.abs(bias[0].astype(np.int64))
        return bool(sums.max(initial=0) < 2**31) and source * float(scales.max()) / result < _MAX_FACTOR

    def _bias(self, layer: str, scales: NDArray[np.float32]) -> Stored | None:
        """Return the file's 32-bit integers of a bias; None if their scale is not input scale * weight scale."""
        stored = _stored(self._c, layer, "bias")
        if stored is None or stored.values.dtype != np.int32 or stored.zero_points.any():
            return None
        floats = self._c.network.graph.get_weight(layer, "bias")[0]
        integers = stored.values.reshape(-1)
        if integers.size == 1:
            integers = np.broadcast_to(integers, floats.shape)
        if integers.shape != floats.shape or stored.scales.size not in (1, len(floats)):
            return None
        same = np.abs(stored.scales - scales) <= _ROUNDING * scales
        if not same.all() or not np.array_equal(integers.astype(np.float32) * stored.scales, floats):
            return None
        own = np.broadcast_to(stored.scales, integers.shape) if stored.scales.size > 1 else stored.scales
        return np.ascontiguousarray(integers), own, np.zeros(own.size, np.float32)


def _weight_integers(c: Context, layer: str) -> Stored | None:
    """Return the integers of a layer's weight; None if the file has no 8-bit integers for it.

    They are recomputed from the layer's float weights, which already have the right memory order, and the scales.
    """
    stored = _stored(c, layer, "weight")
    if stored is None or stored.values.dtype.itemsize > 1:
        return None
    floats, given, _ = c.network.graph.get_weight(layer, "weight")
    counts = (1, len(floats))
    if stored.scales.size not in counts or stored.zero_points.size not in (1, stored.scales.size):
        return None
    if given or stored.zero_points.dtype != stored.values.dtype:
        return None
    along = (-1, *[1] * (floats.ndim - 1))
    shift = _STORED_ZERO if stored.values.dtype.kind == "i" else 0
    zero_points = np.broadcast_to(stored.zero_points.astype(np.float32) + shift, stored.scales.shape)
    scales = stored.scales.reshape(along)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        steps = np.rint(floats / scales)
        integers = steps + zero_points.reshape(along)
        fits = (steps * scales == floats) & (integers >= 0) & (integers <= 255)
    if not fits.all():
        return None
    return integers.astype(np.uint8), stored.scales, np.ascontiguousarray(zero_points)


def _stored(c: Context, layer: str, role: str) -> StoredIntegers | None:
    name = c.weights.source(layer, role)
    return None if name is None else c.constants.integers_of(name)
