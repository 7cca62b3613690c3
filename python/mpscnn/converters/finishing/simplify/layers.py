"""Give access to a network's layers for the search for activations and norms that consist of several layers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.values.affine import is_affine
from mpscnn.graph.network import Network

BASE = "\0base"  # the suffix for the name of a layer's result before its fused activation
LARGEST = 3e38  # limits beyond this number do not clip
RECIPROCAL = {"kind": "power", "a": 1.0, "b": 0.0, "c": -1.0}

Node = Mapping[str, Any]
Step = tuple[Mapping[str, Any], str]
"""An elementwise function, and the value to which it is applied."""


class Layers:
    """The layers of a network. Fused activations are treated as separate layers.

    Args:
        network: the network.
        nodes: the descriptions of its layers, some of which may have been replaced by others.
        stems: the names of layers that are not in the network, and for each a layer whose result has the same shape.
    """

    def __init__(
        self, network: Network, nodes: Sequence[Node], stems: Mapping[str, str] | None = None
    ) -> None:
        self._network = network
        self._stems = stems or {}
        self._nodes: dict[str, Node] = {}
        self._steps: dict[str, Step | None] = {}
        self.inputs = [tensor.name for tensor in network.inputs]
        for node in nodes:
            name, activation = node["name"], node.get("activation")
            if activation is None:
                self._nodes[name] = node
                continue
            base = name + BASE
            self._nodes[base] = node
            self._nodes[name] = {"operation": "neuron", "inputs": [base], "attributes": activation}
        self._readers: dict[str, list[str]] = {}
        for value, node in self._nodes.items():
            for source in dict.fromkeys(node["inputs"]):
                self._readers.setdefault(source, []).append(value)

    @property
    def values(self) -> Iterable[str]:
        """The results of all layers, in order."""
        return self._nodes

    def readers(self, value: str) -> Sequence[str]:
        """Return the results of the layers that read a value, in order."""
        return self._readers.get(value, ())

    def maker(self, value: str) -> Node | None:
        """Return the layer that computes a value; None for an input."""
        return self._nodes.get(value)

    def made_by(self, value: str, operation: str) -> Node | None:
        """Return the layer that computes a value if it has this operation; otherwise None."""
        node = self.maker(value)
        return node if node is not None and node["operation"] == operation else None

    def shape(self, value: str) -> tuple[int | None, ...]:
        """Return the shape of a value without the batch."""
        name = value.removesuffix(BASE)
        return self._network[self._stems.get(name, name)].shape[1:]

    def root(self, value: str) -> str:
        """Return the value before the reshapes that made this one. It has the same elements in the same order."""
        while (node := self.made_by(value, "reshape")) is not None:
            value = node["inputs"][0]
        return value

    def step(self, value: str) -> Step | None:
        """Return the elementwise function that a layer computes, and its operand; None for other layers."""
        if value not in self._steps:
            self._steps[value] = self._found_step(value)
        return self._steps[value]

    def _found_step(self, value: str) -> Step | None:
        if (node := self.made_by(value, "neuron")) is not None:
            return node["attributes"], node["inputs"][0]
        if (node := self.made_by(value, "divide")) is not None and is_plain(node):
            dividend, divisor = node["inputs"]
            if self.number(dividend) == 1.0:
                return RECIPROCAL, divisor
        node = self.made_by(value, "batch_normalization")
        if node is not None and (numbers := self.line(node)) is not None:
            return {"kind": "linear", "a": numbers[0], "b": numbers[1]}, node["inputs"][0]
        return None

    def number(self, value: str) -> float | None:
        """Return the number in a constant of one element; None for other values."""
        if self.made_by(value, "constant") is None or product(self.shape(value)) != 1:
            return None
        values = np.asarray(self._network.graph.get_weight(value, "value")[0])
        return float(values.reshape(-1)[0])

    @cached_property
    def _roles(self) -> dict[str, set[str]]:
        """The roles of the weights that are set, by layer."""
        roles: dict[str, set[str]] = {}
        for spec in self._network.weight_specs():
            if spec["set"]:
                roles.setdefault(spec["layer"], set()).add(spec["role"])
        return roles

    def line(self, node: Node) -> tuple[float, float] | None:
        """Return the scale and offset if the layer applies the same ones to all channels; None for other layers."""
        factors = self.affine(node)
        if factors is None or any((values != values[0]).any() for values in factors):
            return None
        return float(factors[0][0]), float(factors[1][0])

    def affine(self, node: Node) -> tuple[NDArray[np.float32], NDArray[np.float32]] | None:
        """Return scale and offset of each channel if the layer only applies these; None for other layers."""
        attributes = node["attributes"]
        if node["operation"] != "batch_normalization" or len(node["inputs"]) > 1 or not attributes["fixed"]:
            return None
        graph = self._network.graph
        own = self._roles.get(node["name"], set())
        given = {role: np.asarray(graph.get_weight(node["name"], role)[0], np.float32) for role in own}
        if not {"mean", "variance"} <= own or not is_affine(
            attributes["epsilon"], given["mean"], given["variance"]
        ):
            return None
        one = np.ones_like(given["mean"])
        return given.get("gamma", one), given.get("beta", 0.0 * one)


@dataclass(frozen=True)
class Lines:
    """The elements that are reduced to one element: `count` elements at a distance of `step` in memory."""

    count: int
    step: int


def lines_of_reduction(layers: Layers, node: Node) -> Lines | None:
    """Return which elements a reduction or pooling sums to one; None if an extent is free."""
    shape = layers.shape(node["inputs"][0])
    if node["operation"] == "pooling":
        is_mean = node["attributes"]["kind"] == "average" and node["attributes"]["global"]
        first, last = (0, 2) if is_mean and len(shape) == 3 else (0, 0)
    else:
        last = len(shape) - ("channels", "width", "height").index(node["attributes"]["axis"])
        first = last - 1
    run, after = shape[first:last], shape[last:]
    if not run or None in (*run, *after):
        return None
    return Lines(product(run), product(after))


def lines_of_broadcast(layers: Layers, whole: str, small: str) -> Lines | None:
    """Return which elements of the first operand share one element of the second; None for other broadcasts."""
    shape, other = layers.shape(whole), layers.shape(small)
    if len(shape) != len(other):
        return None
    axes = [i for i, (a, b) in enumerate(zip(shape, other, strict=True)) if b == 1 and a != 1]
    if not axes or any(a != b for i, (a, b) in enumerate(zip(shape, other, strict=True)) if i not in axes):
        return None
    between = shape[axes[0] : axes[-1] + 1]
    after = shape[axes[-1] + 1 :]
    if None in (*between, *after) or product(between) != product([shape[axis] for axis in axes]):
        return None
    return Lines(product(between), product(after))


def product(extents: Sequence[int | None]) -> int:
    """Return the number of elements."""
    return math.prod(extent or 0 for extent in extents)


def is_plain(node: Node) -> bool:
    """Return True if an arithmetic layer has no scales, no offset and no limits."""
    a = node["attributes"]
    return bool(
        a["primary_scale"] == a["secondary_scale"] == 1.0
        and a["bias"] == 0.0
        and a["minimum"] < -LARGEST
        and a["maximum"] > LARGEST
    )
