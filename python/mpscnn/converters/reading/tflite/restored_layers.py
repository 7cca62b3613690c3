"""Restore the layers of networks that mpscnn has written, where several operators were written for one layer.

The result of a layer has the layer's name. The name of a result within a layer begins with that name and `WITHIN`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.finishing.renaming import rename_layers
from mpscnn.converters.finishing.simplify.layers import LARGEST
from mpscnn.converters.values.affine import is_affine
from mpscnn.graph.network import Network
from mpscnn.graph.settings import copy_origin, copy_settings
from mpscnn.runtime.library import operations

WITHIN = "//"
"""The text between the names of a layer and of a result within it. The paths of other programs have one slash."""

Stored = tuple[Any, ...]
"""A weight with its scales and zero points, as `Graph.get_weight` returns it."""

_IMAGE_AXES = 3  # those of an image: height, width and channels
_TAKES_ACTIVATION = frozenset(entry["name"] for entry in operations() if entry["takes_activation"])


@dataclass(frozen=True)
class _Layer:
    """A layer with its weights by role."""

    node: Mapping[str, Any]
    weights: Mapping[str, Stored]

    @property
    def operation(self) -> str:
        return str(self.node["operation"])

    def affine(self) -> tuple[NDArray[np.float32], NDArray[np.float32]] | None:
        """Return scale and offset of each channel, if the layer only applies these; None for other layers."""
        if self.operation != "batch_normalization" or len(self.node["inputs"]) > 1:
            return None
        given = {role: np.asarray(stored[0]) for role, stored in self.weights.items()}
        if not is_affine(self.node["attributes"]["epsilon"], given["mean"], given["variance"]):
            return None
        mean = given["mean"]
        return given.get("gamma", np.ones_like(mean)), given.get("beta", np.zeros_like(mean))


def restored(network: Network) -> Network:
    """Return the network with its written layers, or the same network if each layer is one operator.

    An activation becomes a part of its layer, a scale and an offset of each channel become one batch normalization, a
    dense layer reads an image without a reshape before it, a product of matrices has its factor, and a pooling its
    padding.
    """
    structure = network.to_dict()
    weights: dict[str, dict[str, Stored]] = {}
    for spec in network.weight_specs():
        if spec["set"]:
            stored = network.graph.get_weight(spec["layer"], spec["role"])
            weights.setdefault(spec["layer"], {})[spec["role"]] = stored
    readers = Counter(name for node in structure["nodes"] for name in node["inputs"])
    readers.update(structure["outputs"])
    layers: dict[str, _Layer] = {}
    for node in structure["nodes"]:
        layer = _Layer(node, weights.get(node["name"], {}))
        before = layers.get(node["inputs"][0]) if node["inputs"] else None
        if before is not None and readers[before.node["name"]] == 1 and _are_of_one_layer(before, layer):
            found = (merge(network, before, layer) for merge in _MERGES)
            merged = next((one for one in found if one is not None), None)
            if merged is not None:
                del layers[before.node["name"]]
                layer = _Layer({**merged.node, "name": node["name"]}, merged.weights)
        layers[node["name"]] = layer
    names = _names(layers, structure)
    if len(layers) == len(structure["nodes"]) and not names:
        return network
    nodes = [layer.node for layer in layers.values()]
    made = network.restructured(rename_layers(structure | {"nodes": nodes}, names), {})
    for name, layer in layers.items():
        for role, stored in layer.weights.items():
            made.graph.set_weight(names.get(name, name), role, *stored)
    copy_settings(network, made)
    copy_origin(network, made)
    return made


def _own(name: str) -> str:
    """Return the name of the written layer that a result belongs to."""
    return name.rpartition(WITHIN)[0] or name


def _are_of_one_layer(before: _Layer, layer: _Layer) -> bool:
    first, second = before.node["name"], layer.node["name"]
    return WITHIN in first and _own(first) == _own(second)


def _have_same_integers(before: _Layer, layer: _Layer) -> bool:
    given = [one.node["quantization"] for one in (before, layer) if "quantization" in one.node]
    return len(given) < 2 or given[0] == given[1]


def _names(layers: Mapping[str, _Layer], structure: Mapping[str, Any]) -> dict[str, str]:
    """Return new names of layers within a written layer of which nothing else is left."""
    counts = Counter(map(_own, [*layers, *(entry["name"] for entry in structure["inputs"])]))
    return {name: _own(name) for name in layers if WITHIN in name and counts[_own(name)] == 1}


def _with_activation(_network: Network, before: _Layer, layer: _Layer) -> _Layer | None:
    if layer.operation != "neuron" or before.operation not in _TAKES_ACTIVATION:
        return None
    if "activation" in before.node or layer.node["attributes"]["kind"] == "none":
        return None
    if not _have_same_integers(before, layer):
        return None
    return _Layer(
        {**layer.node, **before.node, "activation": layer.node["attributes"]},
        {**before.weights, **layer.weights},
    )


def _with_offset(_network: Network, before: _Layer, layer: _Layer) -> _Layer | None:
    """Return the batch normalization of a scale and an offset."""
    first, second = before.affine(), layer.affine()
    if first is None or second is None or "activation" in before.node:
        return None
    if first[1].any() or (second[0] != 1).any():
        return None
    node = {**layer.node, "inputs": before.node["inputs"]}
    return _Layer(node, {**layer.weights, "gamma": (first[0],), "beta": (second[1],)})


def _dense(network: Network, before: _Layer, layer: _Layer) -> _Layer | None:
    """Return a dense layer that reads the image before a reshape."""
    if layer.operation != "fully_connected" or before.operation != "reshape":
        return None
    shape = network[before.node["inputs"][0]].shape[1:]
    # A reshape may read the operand of another one, which need not be an image.
    if len(shape) != _IMAGE_AXES or None in shape:
        return None
    values, *scales = layer.weights["weight"]
    values = np.asarray(values).reshape(len(values), *shape)
    node = {**layer.node, "inputs": before.node["inputs"]}
    return _Layer(node, {**layer.weights, "weight": (np.ascontiguousarray(values), *scales)})


def _with_scale(_network: Network, before: _Layer, layer: _Layer) -> _Layer | None:
    """Return a product of matrices with the factor after it."""
    line = layer.affine() if before.operation == "matrix_product" else None
    if line is None or line[1].any() or (line[0] != line[0][0]).any():
        return None
    attributes = {**before.node["attributes"], "scale": float(line[0][0])}
    return _Layer({**layer.node, **before.node, "attributes": attributes}, {})


def _with_border(_network: Network, before: _Layer, layer: _Layer) -> _Layer | None:
    """Return a pooling of maxima with the padding before it, whose elements are below all numbers."""
    border, window = before.node["attributes"], layer.node["attributes"]
    if (before.operation, layer.operation) != ("padding", "pooling") or window["kind"] != "max":
        return None
    if border["mode"] != "constant" or border["value"] > -LARGEST or window["padding"] != "valid":
        return None
    pads = {f"pad_{side}": border[side] for side in ("top", "bottom", "left", "right")}
    attributes = {**window, **pads, "padding": "explicit"}
    return _Layer({**layer.node, "inputs": before.node["inputs"], "attributes": attributes}, {})


_MERGES = (_with_activation, _with_offset, _dense, _with_scale, _with_border)
