"""Give a network the quantizations of its tensors, those that a file states and those that follow from them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from mpscnn.converters.values.integer_limits import Grid
from mpscnn.graph.integer_layers import Node, keeps_integers
from mpscnn.graph.network import Network


def quantized(network: Network, grids: Mapping[str, Grid]) -> Network:
    """Set the quantizations of inputs and layers, by name, and those that follow. Return the network."""
    for name, grid in follow(network.to_dict()["nodes"], grids).items():
        network.quantize(name, grid.dtype.name, grid.step, grid.zero_point)
    return network


def follow(
    nodes: Iterable[Node], grids: Mapping[str, Grid], read_as: Mapping[str, Grid] | None = None
) -> dict[str, Grid]:
    """Return the quantizations of inputs and layers, with those of layers that move elements: they keep their input's.

    So does a layer that computes new values in its input's integers, such as an average, unless its readers quantize
    the result in another way: it is rounded only once. `read_as` has what all readers of a tensor read it as; None: it
    is not known, and such layers have no integers.
    """
    found = dict(grids)
    for node in nodes:
        name, source = node["name"], found.get(node["inputs"][0]) if node["inputs"] else None
        if name in found or source is None or not keeps_integers(node):
            continue
        if _moves(node, source) or (read_as is not None and read_as.get(name, source) == source):
            found[name] = source
    return found


def _moves(node: Node, source: Grid) -> bool:
    """Return True if the elements of a layer's result are those of its input.

    Constant padding counts if its value is exactly one of the source's integers.
    """
    attributes = node.get("attributes", {})
    if node["operation"] == "pooling":
        return bool(attributes["kind"] == "max")
    if node["operation"] == "resize":
        return bool(attributes["kind"] == "nearest")
    if node["operation"] != "padding" or attributes["mode"] != "constant":
        return True
    value, step, ends = np.float32(attributes["value"]), np.float32(source.step), np.iinfo(source.dtype)
    steps = np.rint(value / step)
    return bool(steps * step == value and ends.min <= steps + source.zero_point <= ends.max)
